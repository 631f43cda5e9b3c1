// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices.Vfio;
using BarBroker.Testing;

namespace BarBroker.Tests.Devices.Vfio;

public sealed class VfioNodeWatchTests : TestBase
{
    private readonly TestDirectory _dev;
    private readonly List<Exception> _failures = [];
    private int _seen;

    public VfioNodeWatchTests() => _dev = Own(new TestDirectory());

    [Fact]
    public async Task Node_AppearsInADirectoryThatIsThere_IsTold()
    {
        Directory.CreateDirectory(_dev.File("vfio"));
        using var watch = Start();
        int before = _seen;

        await File.WriteAllTextAsync(_dev.File("vfio/12"), "", Cancellation);

        await Wait.Until(() => Volatile.Read(ref _seen) > before, "the node to be told of");
    }

    [Fact]
    public async Task Node_AppearsInADirectoryThatCameLater_IsTold()
    {
        using var watch = Start();
        Directory.CreateDirectory(_dev.File("vfio"));
        await Wait.Until(() => Volatile.Read(ref _seen) > 1, "the directory to be told of");
        int before = Volatile.Read(ref _seen);

        await File.WriteAllTextAsync(_dev.File("vfio/12"), "", Cancellation);

        await Wait.Until(() => Volatile.Read(ref _seen) > before, "the node to be told of");
    }

    [Fact]
    public async Task Node_AppearsInASubdirectory_IsTold()
    {
        Directory.CreateDirectory(_dev.File("vfio/devices"));
        using var watch = Start();
        int before = _seen;

        await File.WriteAllTextAsync(_dev.File("vfio/devices/vfio0"), "", Cancellation);

        await Wait.Until(() => Volatile.Read(ref _seen) > before, "the node to be told of");
    }

    [Fact]
    public async Task Node_GetsAnotherMode_IsTold()
    {
        Directory.CreateDirectory(_dev.File("vfio"));
        await File.WriteAllTextAsync(_dev.File("vfio/12"), "", Cancellation);
        using var watch = Start();
        int before = _seen;

        File.SetUnixFileMode(_dev.File("vfio/12"), UnixFileMode.UserRead | UnixFileMode.GroupRead);

        await Wait.Until(() => Volatile.Read(ref _seen) > before, "the mode to be told of");
    }

    [Fact]
    public async Task Directory_GoesAndComesAgain_IsWatchedAgain()
    {
        Directory.CreateDirectory(_dev.File("vfio"));
        using var watch = Start();
        Directory.Delete(_dev.File("vfio"));
        int before = Volatile.Read(ref _seen);
        Directory.CreateDirectory(_dev.File("vfio"));
        await Wait.Until(() => Volatile.Read(ref _seen) > before, "the directory to be told of");
        before = Volatile.Read(ref _seen);

        await File.WriteAllTextAsync(_dev.File("vfio/12"), "", Cancellation);

        await Wait.Until(() => Volatile.Read(ref _seen) > before, "the node to be told of");
    }

    [Fact]
    public void DevRoot_IsMissing_IsToldAsAFailure()
    {
        using var watch = new VfioNodeWatch(_dev.File("none"), () => _seen++, _failures.Add);

        Assert.Single(_failures);
    }

    private VfioNodeWatch Start() => new(_dev.Path, () => Interlocked.Increment(ref _seen), failure => Assert.Fail(failure.Message));
}
