// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Pci;

/// <summary>Writes to sysfs; the seam at which a test puts a kernel of its own.</summary>
public interface IAttributeWriter
{
    /// <summary>Returns when the kernel has done what the write asks for.</summary>
    /// <exception cref="IOException">It refused.</exception>
    void Write(string path, string text);
}
