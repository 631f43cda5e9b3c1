// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Parsing;
using BarBroker.V1;

namespace BarBroker.Cli.Commands;

/// <summary>Options that pick leases; every one given must hold.</summary>
internal sealed class Selectors
{
    private readonly Option<string?> _device = new("--device", "-d") { Description = "Leases on this device", HelpName = "NAME" };
    private readonly Option<uint?> _uid = new("--uid") { Description = "Leases of this user", HelpName = "N" };
    private readonly Option<int?> _pid = new("--pid") { Description = "Leases of this process", HelpName = "N" };
    private readonly Option<KeyValuePair<string, string>[]> _labels = Options.Labels("--label", "Leases with this label; may be repeated");

    public void AddTo(Command command)
    {
        command.Add(_device);
        command.Add(_uid);
        command.Add(_pid);
        command.Add(_labels);
    }

    public LeaseSelector From(ParseResult parsed)
    {
        var selector = new LeaseSelector { Device = parsed.GetValue(_device) ?? "" };
        if (parsed.GetValue(_uid) is { } uid)
        {
            selector.Uid = uid;
        }

        if (parsed.GetValue(_pid) is { } pid)
        {
            selector.Pid = pid;
        }

        foreach (var (key, value) in parsed.GetValue(_labels) ?? [])
        {
            selector.Labels[key] = value;
        }

        return selector;
    }

    public bool Contains(Option option) => option == _device || option == _uid || option == _pid || option == _labels;

    /// <summary>As the broker does it for operators.</summary>
    public static bool Matches(LeaseSelector selector, Lease lease) => Matches(selector, lease.Device, lease.Owner, lease.Labels);

    /// <summary>The same for what waits.</summary>
    public static bool Matches(LeaseSelector selector, string device, Owner owner, IDictionary<string, string> labels) =>
        (selector.Device.Length == 0 || selector.Device == device)
        && (!selector.HasUid || selector.Uid == owner.Uid)
        && (!selector.HasPid || selector.Pid == owner.Pid)
        && selector.Labels.All(label => labels.TryGetValue(label.Key, out string? value) && value == label.Value);
}
