// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Devices.Vfio;

/// <summary>Tells when a node in /dev/vfio appears or gets another owner or mode: a device that could not be opened may be there now.</summary>
/// <remarks>
/// The directory comes and goes with the kernel's modules, so its own appearance is watched for, too. A device that joins an IOMMU group whose node is there already makes none
/// where the kernel has no character devices for vfio; what is not seen here is found by trying again.
/// </remarks>
internal sealed class VfioNodeWatch : IDisposable
{
    private const string DirectoryName = "vfio";

    private readonly Lock _gate = new();
    private readonly string _directory;
    private readonly Action _appeared;
    private readonly Action<Exception> _failed;
    private readonly FileSystemWatcher? _parent;
    private FileSystemWatcher? _nodes;
    private bool _disposed;

    /// <param name="appeared">Called from any thread, perhaps several times for one node.</param>
    /// <param name="failed">Called if the system cannot watch, such as for want of inotify instances.</param>
    public VfioNodeWatch(string devRoot, Action appeared, Action<Exception> failed)
    {
        _directory = Path.Combine(devRoot, DirectoryName);
        _appeared = appeared;
        _failed = failed;
        _parent = Watch(devRoot, DirectoryName, recursive: false, Renew);
        Renew();
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _nodes?.Dispose();
        }

        _parent?.Dispose();
    }

    private void Renew()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _nodes?.Dispose();
            _nodes = Directory.Exists(_directory) ? Watch(_directory, "*", recursive: true, _appeared) : null;
        }

        // What came before the watch was there.
        _appeared();
    }

    private FileSystemWatcher? Watch(string path, string filter, bool recursive, Action seen)
    {
        FileSystemWatcher? watcher = null;
        try
        {
            watcher = new FileSystemWatcher(path, filter)
            {
                IncludeSubdirectories = recursive,
                NotifyFilter = NotifyFilters.FileName | NotifyFilters.DirectoryName | NotifyFilters.Attributes,
            };
            watcher.Created += (_, _) => seen();
            watcher.Changed += (_, _) => seen();
            watcher.Error += (_, error) => _failed(error.GetException());
            watcher.EnableRaisingEvents = true;
            return watcher;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            watcher?.Dispose();
            _failed(exception);
            return null;
        }
    }
}
