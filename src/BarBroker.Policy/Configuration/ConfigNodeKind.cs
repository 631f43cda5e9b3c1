// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Configuration;

internal enum ConfigNodeKind
{
    Null,
    Text,
    Number,
    Flag,
    List,
    Object,
}
