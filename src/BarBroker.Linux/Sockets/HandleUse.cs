// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Sockets;

/// <summary>Keeps a handle open while its number is in use: else a concurrent close could give the number to another file.</summary>
internal readonly ref struct HandleUse
{
    private readonly SafeHandle _handle;

    /// <exception cref="ObjectDisposedException">It is closed already.</exception>
    public HandleUse(SafeHandle handle)
    {
        bool added = false;
        handle.DangerousAddRef(ref added);
        _handle = handle;
        Number = (int)handle.DangerousGetHandle();
    }

    public int Number { get; }

    public void Dispose() => _handle.DangerousRelease();
}
