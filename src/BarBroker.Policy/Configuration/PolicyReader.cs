// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Leases;
using BarBroker.Policy;

namespace BarBroker.Configuration;

/// <summary>The <c>policy</c> of the configuration file: its rules, whom each is about, and what operators may do by it.</summary>
internal static class PolicyReader
{
    private static readonly (string, OperatorRights)[] Rights =
    [
        ("read", OperatorRights.Read), ("revoke", OperatorRights.Revoke), ("devices", OperatorRights.Devices), ("reload", OperatorRights.Reload), ("all", OperatorRights.All),
    ];

    /// <summary>Null without a policy.</summary>
    /// <param name="bounds">What holds where a rule says nothing.</param>
    public static ImmutableArray<PolicyRule>? Read(ObjectReader file, LeaseOptions bounds)
    {
        if (!file.Has("policy"))
        {
            return null;
        }

        var policy = file.Section("policy");
        if (!policy.Has("rules"))
        {
            policy.Fault("rules", "is missing; a policy without rules, [], lets nobody lease anything");
        }

        var rules = ImmutableArray.CreateBuilder<PolicyRule>();
        foreach (var rule in policy.Objects("rules"))
        {
            var read = Rule(rule, bounds);
            if (rules.FirstOrDefault(other => other.Name.Length > 0 && other.Name == read.Name) is not null)
            {
                rule.Fault("name", $"\"{read.Name}\" is the name of an earlier rule");
            }

            rules.Add(read);
        }

        policy.Finish();
        return rules.ToImmutable();
    }

    private static PolicyRule Rule(ObjectReader rule, LeaseOptions bounds)
    {
        string name = rule.RequiredText("name");
        if (name.Length > 0 && !DeviceEntryReader.IsName(name))
        {
            rule.Fault("name", $"\"{name}\" is no name: 1 to 63 letters, digits, . _ -, the first one a letter or digit");
        }

        bool denies = rule.Flag("deny", false);
        string text = rule.Text("message") ?? "";
        var read = new PolicyRule(
            name,
            Match(rule.Section("match")),
            denies,
            text,
            rule.Has("lease") ? LeaseRuleReader.Read(rule.Section("lease"), bounds) : null,
            rule.Has("operator") ? rule.Choices("operator", Rights).Aggregate(OperatorRights.None, static (all, one) => all | one) : null);
        if (denies && (read.Lease is not null || read.Operator is not null))
        {
            rule.Fault("deny", "a rule that denies allows nothing: leave out lease and operator");
        }
        else if (!denies && read.Lease is null && read.Operator is null)
        {
            rule.Fault("lease", "is missing, and so are operator and deny: the rule says nothing; {} allows all leases");
        }

        if (!denies && text.Length > 0)
        {
            rule.Fault("message", "goes with deny");
        }

        rule.Finish();
        return read;
    }

    private static PolicyMatch Match(ObjectReader match)
    {
        var read = new PolicyMatch(
            Ids(match, "uid", "user", Linux.Users.FindUser),
            Ids(match, "gid", "group", Linux.Users.FindGroup),
            Paths(match, "executable", IsExecutable, "a path such as \"/usr/bin/tool\", or \"/opt/tools/*\" for all below a directory"),
            Paths(match, "cgroup", IsCgroup, "a cgroup such as \"/system.slice/tool.service\", which stands for those below it, too"));
        match.Finish();
        return read;
    }

    private static ImmutableArray<NamedId> Ids(ObjectReader match, string name, string kind, Func<string, uint?> find)
    {
        var ids = ImmutableArray.CreateBuilder<NamedId>();
        foreach (var node in match.Values(name))
        {
            // 2^32-1 is no id: it means "unchanged" where one is set (chown(2)).
            if (node.Kind == ConfigNodeKind.Number && uint.TryParse(node.Text, out uint id) && id < uint.MaxValue)
            {
                ids.Add(new NamedId(id, ""));
            }
            else if (node.Kind == ConfigNodeKind.Text && node.Text.Length > 0)
            {
                AddNamed(node);
            }
            else
            {
                match.Fault(node, $"{ObjectReader.Show(node)} is no {kind}; write its name in quotes or its number");
            }
        }

        return ids.ToImmutable();

        void AddNamed(ConfigNode node)
        {
            if (find(node.Text) is { } found)
            {
                ids.Add(new NamedId(found, node.Text));
            }
            else
            {
                match.Fault(node, $"there is no {kind} {node.Text} on this system; write the number of one that is still to come");
            }
        }
    }

    private static ImmutableArray<string> Paths(ObjectReader match, string name, Func<string, bool> isPath, string expected)
    {
        var paths = ImmutableArray.CreateBuilder<string>();
        foreach (var node in match.Values(name))
        {
            if (node.Kind == ConfigNodeKind.Text && isPath(node.Text))
            {
                paths.Add(node.Text);
            }
            else
            {
                match.Fault(node, $"{ObjectReader.Show(node)} is not {expected}");
            }
        }

        return paths.ToImmutable();
    }

    private static bool IsExecutable(string path) =>
        IsCanonical(path.EndsWith("/*", StringComparison.Ordinal) && path.Length > 2 ? path[..^2] : path) && !path.AsSpan(0, path.Length - 1).Contains('*');

    private static bool IsCgroup(string path) => IsCanonical(path) && !path.Contains('*', StringComparison.Ordinal);

    /// <summary>As the kernel writes paths: another spelling would never match.</summary>
    private static bool IsCanonical(string path) => path.Length > 1 && path[0] == '/' && Path.GetFullPath(path) == path && path[^1] != '/';
}
