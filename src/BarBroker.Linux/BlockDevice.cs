// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux;

/// <summary>Disks and their partitions.</summary>
public static class BlockDevice
{
    /// <summary>
    /// Whether the kernel itself uses a disk or a partition of it: a file system in any mount namespace, swap, RAID, device mapper. Opening a block device with
    /// O_EXCL claims it, which fails with EBUSY while somebody else has (open(2); bd_may_claim in block/bdev.c). False also if it cannot be opened.
    /// </summary>
    public static bool IsClaimed(string path)
    {
        int fd = Libc.Open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0)
        {
            new FileDescriptor(fd).Dispose();
            return false;
        }

        return Marshal.GetLastPInvokeError() == (int)Errno.EBUSY;
    }
}
