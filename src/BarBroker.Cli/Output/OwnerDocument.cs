// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

internal sealed record OwnerDocument(uint Uid, uint Gid, int Pid, string Comm)
{
    public static OwnerDocument From(V1.Owner? owner) => new(owner?.Uid ?? 0, owner?.Gid ?? 0, owner?.Pid ?? 0, owner?.Comm ?? "");
}
