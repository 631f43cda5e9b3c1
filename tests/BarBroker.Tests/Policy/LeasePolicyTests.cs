// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;
using BarBroker.Tests.Leases;

namespace BarBroker.Tests.Policy;

public sealed class LeasePolicyTests
{
    private static readonly PolicyMatch Everybody = PolicyMatch.Everybody;

    [Fact]
    public void Decide_NoPolicy_TheBoundsForEverybody()
    {
        var options = new LeaseOptions();

        var terms = new LeasePolicy(options).Decide(Sized(), new Subject());

        Assert.Null(terms.Rule);
        Assert.Equal((options.DefaultTtl, options.MaxLeasesPerUid, options.MaxBytesPerUid), (terms.Ttl, terms.MaxLeases, terms.MaxBytes));
        Assert.True(terms.AllowsDevice("anything"));
        Assert.Null(terms.HangLimit);
        Assert.Equal(0, terms.Priority);
    }

    [Fact]
    public void Decide_NoRuleMatches_Denied()
    {
        Assert.Equal(LeaseError.Denied, Refused(Policy(), new Subject()).Error);
        Assert.Equal(LeaseError.Denied, Refused(Policy(Allow("a", User(1))), new Subject()).Error);
    }

    [Fact]
    public void Decide_SeveralMatch_TheFirstDecides()
    {
        var policy = Policy(Allow("other", User(1)), Allow("first", User(1000)), new PolicyRule("second", Everybody, IsDenial: true));

        Assert.Equal("first", policy.Decide(Sized(), new Subject()).RuleName);
        Assert.Contains("second", Refused(policy, new Subject(2)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Decide_RuleForOperatorsOnly_IsPassedOver()
    {
        var policy = Policy(new PolicyRule("operators", Everybody, Operator: OperatorRights.Read), Allow("clients", Everybody));

        Assert.Equal("clients", policy.Decide(Sized(), new Subject()).RuleName);
    }

    [Fact]
    public void Decide_SeveralConditions_AllMustHold()
    {
        var policy = Policy(Allow("a", new PolicyMatch([new(1000, ""), new(1001, "")], [new(50, "")], ["/usr/bin/a"], ["/x.slice"])));
        var right = new Subject(1001, "/usr/bin/a", "/x.slice/y") { Groups = [7, 50] };

        Assert.Equal("a", policy.Decide(Sized(), right).RuleName);
        Assert.Equal("a", policy.Decide(Sized(), right with { Groups = [], Gid = 50 }).RuleName);
        Assert.Equal(LeaseError.Denied, Refused(policy, right with { Uid = 2 }).Error);
        Assert.Equal(LeaseError.Denied, Refused(policy, right with { Groups = [] }).Error);
        Assert.Equal(LeaseError.Denied, Refused(policy, right with { Executable = "/usr/bin/b" }).Error);
        Assert.Equal(LeaseError.Denied, Refused(policy, right with { Cgroup = "/y.slice" }).Error);
    }

    [Theory]
    [InlineData("/opt/a", "/opt/a", true)]
    [InlineData("/opt/a", "/opt/ab", false)]
    [InlineData("/opt/*", "/opt/a", true)]
    [InlineData("/opt/*", "/opt/sub/a", true)]
    [InlineData("/opt/*", "/opt", false)]
    [InlineData("/opt/*", "/optional/a", false)]
    public void Decide_Executable_ExactOrBelow(string wanted, string path, bool fits) =>
        Assert.Equal(fits, Matches(Everybody with { Executables = [wanted] }, new Subject(1, path)));

    [Theory]
    [InlineData("/a.slice", "/a.slice", true)]
    [InlineData("/a.slice", "/a.slice/b.service", true)]
    [InlineData("/a.slice", "/a.slicer", false)]
    [InlineData("/a.slice/b", "/a.slice", false)]
    public void Decide_Cgroup_ThatOrBelow(string wanted, string path, bool fits) =>
        Assert.Equal(fits, Matches(Everybody with { Cgroups = [wanted] }, new Subject(1, null, path)));

    [Fact]
    public void Decide_ExecutableUnknown_AllowsNothingAndDeniesAll()
    {
        var match = Everybody with { Executables = ["/usr/bin/a"] };

        Assert.Contains("could not be told", Refused(Policy(Allow("a", match)), new Subject()).Message, StringComparison.Ordinal);
        var refusal = Refused(Policy(new PolicyRule("not-a", match, IsDenial: true), Allow("rest", Everybody)), new Subject());
        Assert.Contains("not-a", refusal.Message, StringComparison.Ordinal);
        // What surely does not match does not deny, whatever else is unknown.
        Assert.True(Matches(Everybody, new Subject(), new PolicyRule("not-a", match with { Cgroups = ["/x"] }, IsDenial: true), cgroup: "/y"));
    }

    [Fact]
    public void Decide_ManyRulesAskForTheProcess_ItIsReadOnceAndOnlyIfAsked()
    {
        var exe = Everybody with { Executables = ["/a"], Cgroups = ["/b"] };
        var subject = new Subject(1000, "/a", "/c");

        Refused(Policy(Allow("1", exe), Allow("2", exe), Allow("3", exe)), subject);
        Assert.Equal(2, subject.Reads);

        Policy(Allow("1", User(1000)), Allow("2", exe)).Decide(Sized(), subject);
        Assert.Equal(2, subject.Reads);
    }

    [Fact]
    public void Decide_NotAllowed_NamesRuleAndField()
    {
        var policy = Policy(Allow("r", Everybody, new LeaseRule
        {
            Devices = ["nvme*", "dev?"],
            ExplicitRanges = false,
            Accesses = [BufferAccess.ReadOnly],
            MemoryAttributes = [MemoryAttribute.NonCached],
        }));
        var fine = Sized() with { Access = BufferAccess.ReadOnly };

        policy.Decide(fine, new Subject());
        foreach (var (request, field) in new[]
        {
            (fine with { Device = "sim0" }, "device"),
            (fine with { Access = BufferAccess.ReadWrite }, "access"),
            (fine with { Attribute = MemoryAttribute.WriteCombining }, "memory_attribute"),
            (fine with { Buffers = [fine.Buffers[0], new BufferRequest(0, [new BarRange(0, 4096)])] }, "buffers[1].ranges"),
        })
        {
            var refusal = Assert.Throws<LeaseException>(() => policy.Decide(request, new Subject()));
            Assert.Equal((LeaseError.Denied, field), (refusal.Error, refusal.Field));
            Assert.Contains("policy rule r ", refusal.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Decide_Times_AreClamped()
    {
        var policy = Policy(Allow("r", Everybody, new LeaseRule
        {
            DefaultTtl = Seconds(20),
            MinTtl = Seconds(10),
            MaxTtl = Seconds(40),
            MaxLifetime = Seconds(35),
            MinHangLimit = Seconds(2),
            MaxHangLimit = Seconds(60),
            MinPriority = -5,
            MaxPriority = 5,
            DefaultPriority = 1,
            RecallGrace = Seconds(3),
        }));

        Assert.Equal((Seconds(20), Seconds(60), 1), Of(Sized()));
        Assert.Equal((Seconds(10), Seconds(2), -5), Of(Sized() with { Ttl = Seconds(1), HangLimit = Seconds(1), Priority = -9 }));
        // 40 s by the TTL's own bound, cut by the lifetime.
        Assert.Equal((Seconds(35), Seconds(60), 5), Of(Sized() with { Ttl = Seconds(100), HangLimit = Seconds(100), Priority = 9 }));

        (TimeSpan, TimeSpan?, int) Of(AcquireRequest request)
        {
            var terms = policy.Decide(request, new Subject());
            return (terms.Ttl, terms.HangLimit, terms.Priority);
        }
    }

    [Fact]
    public void RightsOf_NoRuleSpeaksOfOperators_All() =>
        Assert.Equal(OperatorRights.All, Policy(Allow("a", User(1)), new PolicyRule("no", Everybody, IsDenial: true)).RightsOf(new Subject(), out _));

    [Fact]
    public void RightsOf_RulesSpeakOfOperators_FirstThatMatchesAndNoneElse()
    {
        var policy = Policy(
            Allow("clients", Everybody),
            new PolicyRule("watchers", User(7), Operator: OperatorRights.Read),
            new PolicyRule("not-8", User(8), IsDenial: true),
            new PolicyRule("admins", Everybody with { Groups = [new(0, "root")] }, Operator: OperatorRights.All));

        Assert.Equal(OperatorRights.Read, policy.RightsOf(new Subject(7) { Gid = 0 }, out var rule));
        Assert.Equal("watchers", rule?.Name);
        Assert.Equal(OperatorRights.None, policy.RightsOf(new Subject(8) { Gid = 0 }, out rule));
        Assert.Equal("not-8", rule?.Name);
        Assert.Equal(OperatorRights.All, policy.RightsOf(new Subject(9) { Gid = 0 }, out _));
        Assert.Equal(OperatorRights.None, policy.RightsOf(new Subject(9), out rule));
        Assert.Null(rule);
    }

    [Fact]
    public void Decide_Steps_TellWhyEachRuleBeforeDidNotMatch()
    {
        var steps = new List<PolicyStep>();

        Policy(
            new PolicyRule("ops", Everybody, Operator: OperatorRights.Read),
            Allow("alice", Everybody with { Users = [new(5, "alice")] }),
            Allow("tool", Everybody with { Executables = ["/usr/bin/tool"] }),
            Allow("rest", Everybody),
            Allow("never", Everybody)).Decide(Sized(), new Subject(), steps);

        Assert.Equal(["ops", "alice", "tool", "rest"], steps.Select(static step => step.Rule));
        Assert.Equal(
            ["says nothing about leases", "uid 1000 is not alice (5)", "the executable is not known; the rule asks for /usr/bin/tool", ""],
            steps.Select(static step => step.Why));
    }

    [Theory]
    [InlineData("*", "", true)]
    [InlineData("", "", true)]
    [InlineData("", "a", false)]
    [InlineData("a*c", "abbc", true)]
    [InlineData("a*c", "acb", false)]
    [InlineData("*a*b*", "xxaxbx", true)]
    [InlineData("nvme?", "nvme10", false)]
    [InlineData("nvme?", "nvme", false)]
    [InlineData("**", "x", true)]
    public void Glob_Pattern_Fits(string pattern, string name, bool fits) => Assert.Equal(fits, Glob.Matches(pattern, name));

    private static bool Matches(PolicyMatch match, Subject subject, PolicyRule? before = null, string? cgroup = null)
    {
        PolicyRule[] rules = before is null ? [Allow("r", match)] : [before, Allow("r", match)];
        try
        {
            return Policy(rules).Decide(Sized(), cgroup is null ? subject : subject with { Cgroup = cgroup }).RuleName == "r";
        }
        catch (LeaseException)
        {
            return false;
        }
    }

    private static LeaseException Refused(LeasePolicy policy, Subject subject) => Assert.Throws<LeaseException>(() => policy.Decide(Sized(), subject));

    private static LeasePolicy Policy(params PolicyRule[] rules) => new(new LeaseOptions { Rules = [.. rules] });

    private static PolicyRule Allow(string name, PolicyMatch match, LeaseRule? lease = null) => new(name, match, Lease: lease ?? new LeaseRule());

    private static PolicyMatch User(uint uid) => Everybody with { Users = [new NamedId(uid, "")] };

    private static AcquireRequest Sized() => LeaseFixture.Sized(4096);

    private static TimeSpan Seconds(int seconds) => TimeSpan.FromSeconds(seconds);
}
