// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Commands;
using BarBroker.Cli.Completing;

namespace BarBroker.Cli.Tests.Completing;

public sealed class PlaceTests
{
    [Theory]
    [InlineData("", "lease")]
    [InlineData("lease ", "revoke")]
    [InlineData("-o json lease ", "show")]
    [InlineData("-o ", "jsonl")]
    [InlineData("--output = ", "jsonl")]
    [InlineData("lease list -", "--device")]
    [InlineData("lease list -", "--runtime-dir")]
    [InlineData("run -d x -", "--on-lost")]
    [InlineData("run --on-lost ", "kill")]
    [InlineData("completion ", "fish")]
    [InlineData("lease list --state ", "stuck")]
    [InlineData("-o ", "name")]
    [InlineData("device ", "map")]
    [InlineData("client ", "list")]
    [InlineData("", "top")]
    [InlineData("lease revoke -", "--dry-run")]
    public void Find_Words_HasTheWord(string line, string word) => Assert.Contains(word, At(line).Words.Select(static candidate => candidate.Word));

    [Theory]
    [InlineData("lease show ", "LEASE")]
    [InlineData("lease revoke ls-1 ", "LEASE")]
    [InlineData("device drain ", "DEVICE")]
    [InlineData("device bind ", "DEVICE")]
    [InlineData("lease list --device ", "DEVICE")]
    [InlineData("lease list --label a=b -d ", "DEVICE")]
    [InlineData("lease show ls-1 ", "")]
    [InlineData("status ", "")]
    [InlineData("lease list --uid ", "")]
    public void Find_LiveIds_OfTheirKind(string line, string kind) => Assert.Equal(kind, At(line).Live);

    [Theory]
    [InlineData("policy check ", true)]
    [InlineData("doctor --config ", true)]
    [InlineData("run -s 4096 -- ", true)]
    [InlineData("lease show ", false)]
    public void Find_Files_WhereTheyAreTaken(string line, bool takes) => Assert.Equal(takes, At(line).TakesFiles);

    [Fact]
    public void Find_RuntimeDirectory_IsKept() => Assert.Equal("/tmp/x", At("--runtime-dir /tmp/x lease show ").RuntimeDirectory);

    [Fact]
    public void Find_HiddenCommands_AreNotOffered() => Assert.DoesNotContain(At("").Words, static candidate => candidate.Word.StartsWith('_'));

    private static Place At(string line) => Place.Find(BarctlCommand.Create(), line.Split(' '));
}
