// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Policy;

/// <summary>A subject during one decision: what has to be read from the process is read when a rule asks for it, and once.</summary>
internal ref struct SubjectFacts(IPolicySubject subject)
{
    private string? _executable;
    private string? _cgroup;
    private bool _executableRead;
    private bool _cgroupRead;

    public readonly IPolicySubject Subject => subject;

    public string? Executable
    {
        get
        {
            if (!_executableRead)
                (_executable, _executableRead) = (subject.ReadExecutable(), true);
            return _executable;
        }
    }

    public string? Cgroup
    {
        get
        {
            if (!_cgroupRead)
                (_cgroup, _cgroupRead) = (subject.ReadCgroup(), true);
            return _cgroup;
        }
    }

    /// <summary>What was asked for and could not be told, for a refusal; or empty.</summary>
    public readonly string Missing => (_executableRead && _executable is null, _cgroupRead && _cgroup is null) switch
    {
        (true, true) => "its executable and its cgroup could not be told",
        (true, false) => "its executable could not be told",
        (false, true) => "its cgroup could not be told",
        _ => "",
    };
}
