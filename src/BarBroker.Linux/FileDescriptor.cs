// SPDX-License-Identifier: Apache-2.0

using Microsoft.Win32.SafeHandles;

namespace BarBroker.Linux;

/// <summary>An owned file descriptor. Placeholder until the checked handles land.</summary>
public class FileDescriptor : SafeHandleMinusOneIsInvalid
{
    protected FileDescriptor() : base(ownsHandle: true)
    {
    }

    protected override bool ReleaseHandle() => true;
}
