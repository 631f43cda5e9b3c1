// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;

namespace BarBroker.Linux.Tests;

public sealed class UsersTests : IDisposable
{
    private readonly TestDirectory _directory = new();

    [Fact]
    public void FindGroup_Root_IsZero() => Assert.Equal(0u, Users.FindGroup("root"));

    [Fact]
    public void FindGroup_Unknown_IsNull() => Assert.Null(Users.FindGroup("no-such-group-here"));

    [Fact]
    public void FindUser_Root_IsZero() => Assert.Equal(0u, Users.FindUser("root"));

    [Fact]
    public void FindUser_Unknown_IsNull() => Assert.Null(Users.FindUser("no-such-user-here"));

    [Fact]
    public void GroupsOf_Root_AreWhatIdSays()
    {
        var (status, output) = NativeProgram.Run("id", "-G", "root");

        Assert.Equal((0, output.Trim()), (status, string.Join(' ', Users.GroupsOf("root"))));
    }

    [Fact]
    public void GroupsOf_Unknown_Empty() => Assert.Empty(Users.GroupsOf("no-such-user-here"));

    [Fact]
    public void SetGroupAndMode_File_HasThem()
    {
        string path = _directory.File("f");
        File.WriteAllText(path, "");

        Users.SetGroupAndMode(path, null, Convert.ToUInt32("620", 8));

        Assert.Equal((0, "620\n"), NativeProgram.Run("stat", "-c", "%a", path));
    }

    [Fact]
    public void SetGroupAndMode_NoSuchFile_NamesIt() =>
        Assert.Equal(Errno.ENOENT, Assert.Throws<LinuxException>(() => Users.SetGroupAndMode(_directory.File("absent"), null, 0)).Errno);

    public void Dispose() => _directory.Dispose();
}
