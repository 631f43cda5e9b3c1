// SPDX-License-Identifier: Apache-2.0

using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Time.Testing;

namespace BarBroker.Client.Tests;

public sealed class LeaseClockTests
{
    private static readonly TimeSpan Ttl = TimeSpan.FromSeconds(30);

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void IsDue_NoPulse_Never()
    {
        var clock = Create(KeepAliveMode.WhilePulsed);

        _time.Advance(Ttl);

        Assert.False(clock.IsDue(_time.GetTimestamp(), out _));
    }

    [Fact]
    public void IsDue_Pulsed_AfterAThirdOfTheTtlAndOnce()
    {
        var clock = Create(KeepAliveMode.WhilePulsed);
        Assert.False(clock.Pulse());
        _time.Advance((Ttl / 3) - TimeSpan.FromSeconds(1));
        Assert.False(clock.IsDue(_time.GetTimestamp(), out _));
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.True(clock.IsDue(_time.GetTimestamp(), out ulong progress));
        clock.Renewed(_time.GetTimestamp(), Ttl, progress);
        _time.Advance(Ttl / 3);

        Assert.False(clock.IsDue(_time.GetTimestamp(), out _), "the pulse was spent by the first renewal");
    }

    [Fact]
    public void Pulse_RenewalIsLate_AsksForItAtOnce()
    {
        var clock = Create(KeepAliveMode.WhilePulsed);
        _time.Advance(Ttl / 2);
        Assert.False(clock.IsDue(_time.GetTimestamp(), out _));
        Assert.Equal(clock.Deadline, clock.Next);

        Assert.True(clock.Pulse());

        Assert.True(clock.IsDue(_time.GetTimestamp(), out ulong progress));
        clock.Renewed(_time.GetTimestamp(), Ttl, progress);
        Assert.False(clock.Pulse(), "renewed: pulses are cheap again");
    }

    [Fact]
    public void IsDue_SendingFailed_ThePulseStillCounts()
    {
        var clock = Create(KeepAliveMode.WhilePulsed);
        clock.Pulse();
        _time.Advance(Ttl / 3);
        Assert.True(clock.IsDue(_time.GetTimestamp(), out ulong first));

        clock.Postpone(_time.GetTimestamp(), TimeSpan.FromSeconds(1));
        Assert.False(clock.IsDue(_time.GetTimestamp(), out _));
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.True(clock.IsDue(_time.GetTimestamp(), out ulong second));
        Assert.Equal(first, second);
    }

    [Fact]
    public void IsDue_WhileProcessLives_AlwaysWithNewProgress()
    {
        var clock = Create(KeepAliveMode.WhileProcessLives);
        _time.Advance(Ttl / 3);
        Assert.True(clock.IsDue(_time.GetTimestamp(), out ulong first));
        clock.Renewed(_time.GetTimestamp(), Ttl, first);
        _time.Advance(Ttl / 3);

        Assert.True(clock.IsDue(_time.GetTimestamp(), out ulong second));
        Assert.True(second > first);
    }

    [Fact]
    public void AskAt_NoticesStopped_IsThenAndAgain()
    {
        var clock = Create(KeepAliveMode.WhilePulsed);
        Assert.Equal(clock.Deadline, clock.AskAt);

        clock.AskFrom(_time.GetTimestamp());
        Assert.Equal(_time.GetTimestamp(), clock.AskAt);

        clock.AskAgain(_time.GetTimestamp(), Ttl / 3);
        Assert.Equal(_time.GetTimestamp() + (long)((Ttl / 3).TotalSeconds * _time.TimestampFrequency), clock.AskAt);
    }

    private LeaseClock Create(KeepAliveMode mode) =>
        new(_time, new V1.Lease { Ttl = Duration.FromTimeSpan(Ttl) }, new FdWaiter("test", LeaseRequest.OfSize("sim0", 4096) with { KeepAlive = mode }, _time.GetTimestamp()));
}
