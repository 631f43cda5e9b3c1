// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Policy;

/// <summary>Whom a rule is about. Every list that is given must have one that fits; a rule that gives none is about everybody.</summary>
/// <param name="Executables">Absolute paths, or directories with a trailing <c>/*</c>: everything below them.</param>
/// <param name="Cgroups">Absolute, without a trailing slash: these and all below them.</param>
internal sealed record PolicyMatch(
    ImmutableArray<NamedId> Users,
    ImmutableArray<NamedId> Groups,
    ImmutableArray<string> Executables,
    ImmutableArray<string> Cgroups)
{
    public static PolicyMatch Everybody { get; } = new([], [], [], []);

    /// <param name="why">Where it is given: gets what failed or is unknown.</param>
    public MatchResult Test(ref SubjectFacts facts, List<string>? why)
    {
        if (!Users.IsEmpty && !HasUser(facts.Subject.Uid))
        {
            why?.Add($"uid {facts.Subject.Uid} is not {Or(Users)}");
            return MatchResult.No;
        }

        if (!Groups.IsEmpty && !HasGroup(facts.Subject))
        {
            why?.Add($"uid {facts.Subject.Uid} is not in group {Or(Groups)}");
            return MatchResult.No;
        }

        // The cheap ones failed to decide; these read from /proc. One that surely fails outweighs one that cannot be told.
        var executable = Executables.IsEmpty ? MatchResult.Yes : TestText(facts.Executable, Executables, IsExecutable, "executable", why);
        if (executable == MatchResult.No)
            return MatchResult.No;
        var cgroup = Cgroups.IsEmpty ? MatchResult.Yes : TestText(facts.Cgroup, Cgroups, IsCgroup, "cgroup", why);
        return cgroup == MatchResult.Yes ? executable : cgroup;
    }

    private static bool IsExecutable(string path, string wanted) => wanted.EndsWith("/*", StringComparison.Ordinal)
        ? path.Length > wanted.Length - 1 && path.AsSpan().StartsWith(wanted.AsSpan(0, wanted.Length - 1), StringComparison.Ordinal)
        : path == wanted;

    private static bool IsCgroup(string path, string wanted) =>
        path.StartsWith(wanted, StringComparison.Ordinal) && (path.Length == wanted.Length || path[wanted.Length] == '/');

    private static MatchResult TestText(string? text, ImmutableArray<string> wanted, Func<string, string, bool> fits, string what, List<string>? why)
    {
        if (text is null)
        {
            why?.Add($"the {what} is not known; the rule asks for {Or(wanted)}");
            return MatchResult.Unknown;
        }

        foreach (string one in wanted)
        {
            if (fits(text, one))
                return MatchResult.Yes;
        }

        why?.Add($"the {what} {text} is not {Or(wanted)}");
        return MatchResult.No;
    }

    private static string Or<T>(ImmutableArray<T> all) => string.Join(" or ", all);

    private bool HasUser(uint uid)
    {
        foreach (var user in Users)
        {
            if (user.Id == uid)
                return true;
        }

        return false;
    }

    private bool HasGroup(IPolicySubject subject)
    {
        foreach (var group in Groups)
        {
            if (group.Id == subject.Gid || (!subject.Groups.IsDefault && subject.Groups.Contains(group.Id)))
                return true;
        }

        return false;
    }
}
