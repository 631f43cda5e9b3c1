// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.V1;

namespace BarBroker.Cli.Commands;

/// <summary>Options that pick leases; every one given must hold.</summary>
/// <param name="hasStates">Also by state.</param>
internal sealed class Selectors(bool hasStates = true)
{
    private static readonly string[] _states = [.. Enum.GetValues<LeaseState>().Where(static state => state != LeaseState.Unspecified).Select(Words.Of)];

    private readonly Option<string?> _device = new("--device", "-d") { Description = "Leases on this device", HelpName = "NAME" };
    private readonly Option<uint?> _uid = new("--uid") { Description = "Leases of this user", HelpName = "N" };
    private readonly Option<int?> _pid = new("--pid") { Description = "Leases of this process", HelpName = "N" };
    private readonly Option<KeyValuePair<string, string>[]> _labels = Options.Labels("--label", "Leases with this label; may be repeated");

    private readonly Option<LeaseState[]> _state = Options.Choices("--state", "Leases in this state; may be repeated", _states, [.. Enum.GetValues<LeaseState>().Where(static state => state != LeaseState.Unspecified)]);

    public void AddTo(Command command)
    {
        command.Add(_device);
        command.Add(_uid);
        command.Add(_pid);
        command.Add(_labels);
        if (hasStates)
        {
            command.Add(_state);
        }
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

        if (hasStates)
        {
            selector.States.Add(parsed.GetValue(_state) ?? []);
        }

        return selector;
    }

    public bool Contains(Option option) => option == _device || option == _uid || option == _pid || option == _labels || option == _state;

    /// <summary>As the broker does it for operators.</summary>
    public static bool Matches(LeaseSelector selector, Lease lease) =>
        Matches(selector, lease.Device, lease.Owner, lease.Labels) && (selector.States.Count == 0 || selector.States.Contains(lease.State));

    /// <summary>The same for devices, which have no owner, label or lease's state.</summary>
    public static bool Matches(LeaseSelector selector, Device device) =>
        (selector.Device.Length == 0 || selector.Device == device.Name) && !selector.HasUid && !selector.HasPid && selector.Labels.Count == 0 && selector.States.Count == 0;

    /// <summary>The same for what waits.</summary>
    public static bool Matches(LeaseSelector selector, string device, Owner owner, IDictionary<string, string> labels) =>
        (selector.Device.Length == 0 || selector.Device == device)
        && (!selector.HasUid || selector.Uid == owner.Uid)
        && (!selector.HasPid || selector.Pid == owner.Pid)
        && selector.Labels.All(label => labels.TryGetValue(label.Key, out string? value) && value == label.Value);
}
