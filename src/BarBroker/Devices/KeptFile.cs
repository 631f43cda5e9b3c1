// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;

namespace BarBroker.Devices;

/// <summary>A descriptor that is to be kept over a restart.</summary>
/// <param name="Role">What it is to the device, and what has to be known of it: at most 200 of letters, digits and dots. One that others have, too, is called the same by all of them.</param>
/// <param name="IsShared">Other devices may have it, too.</param>
internal readonly record struct KeptFile(string Role, FileDescriptor File, bool IsShared = false);
