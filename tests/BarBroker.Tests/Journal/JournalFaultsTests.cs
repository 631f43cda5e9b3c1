// SPDX-License-Identifier: Apache-2.0

using BarBroker.Journal;
using Microsoft.Data.Sqlite;

namespace BarBroker.Tests.Journal;

public sealed class JournalFaultsTests
{
    private const int InputOutput = 10;

    /// <summary>Seen on a full disk, where a good journal was set aside for it: SQLITE_IOERR_SHMSIZE. The others are SQLITE_IOERR_WRITE, _FSYNC and _TRUNCATE.</summary>
    [Theory]
    [InlineData(4874)]
    [InlineData(778)]
    [InlineData(1034)]
    [InlineData(1546)]
    public void IsDamage_DiskCannotBeWritten_IsNot(int extended)
    {
        var fault = new SqliteException("", InputOutput, extended);

        Assert.False(JournalFaults.IsDamage(fault, again: true));
        Assert.True(JournalFaults.IsOfTheDisk(fault));
    }

    /// <summary>SQLITE_IOERR_READ, _SHORT_READ, _DATA and _CORRUPTFS.</summary>
    [Theory]
    [InlineData(266)]
    [InlineData(522)]
    [InlineData(8202)]
    [InlineData(8458)]
    public void IsDamage_FileCannotBeRead_IsAtTheSecondTime(int extended)
    {
        var fault = new SqliteException("", InputOutput, extended);

        Assert.False(JournalFaults.IsDamage(fault, again: false));
        Assert.True(JournalFaults.IsDamage(fault, again: true));
    }

    [Fact]
    public void Text_SharedFileCannotGrow_SaysThatTheDiskIsFull() =>
        Assert.Equal("the disk is full, or fails (4874)", JournalFaults.Text(new SqliteException("", InputOutput, 4874)));
}
