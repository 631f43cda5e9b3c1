// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Devices;

internal enum BufferAccess
{
    ReadWrite,
    ReadOnly,
}
