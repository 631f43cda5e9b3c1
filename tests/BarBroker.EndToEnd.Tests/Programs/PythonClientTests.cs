// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.Programs;

/// <summary>docs/examples/lease.py: a client in another language, made of docs/protocol.md, proto/ and what Debian packages.</summary>
public sealed class PythonClientTests : TestBase
{
    private const string Python = "/usr/bin/python3";
    private static readonly string[] Protos = ["types", "lease_service", "fd_channel"];

    [Theory]
    [InlineData()]
    [InlineData("--ticket")]
    public async Task Example_LeaseRevokedByAnOperator_IsToldAndItsWorkerGetsSigbus(params string[] options)
    {
        var directory = Own(new TestDirectory());
        string modules = await GenerateAsync(directory);
        var broker = Own(await Daemon.StartAsync(directory.Path, new BrokerConfiguration().Device("sim0", "4MiB").Write(directory.Path)));
        using var forOperator = RpcClient.Dial(broker.OperatorSocket);

        using var client = Tool.Start(
            [Python, Path.Combine(Repository.Root, "docs", "examples", "lease.py"), "--runtime-dir", broker.RuntimeDirectory, .. options], null, ("PYTHONPATH", modules));
        string id = (await client.LineAsync("leased: ")).Split(' ')[1];
        Assert.Equal("wrote and read back, alive for 30 s", await client.LineAsync("wrote and read back"));
        var lease = (await forOperator.Operator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = id })).Lease;
        Assert.Equal((LeaseState.Active, 8192ul), (lease.State, lease.Buffers[0].Size));
        using (var revoke = forOperator.Operator.Revoke(new RevokeRequest { LeaseIds = { id }, Comment = "shown to Python" }))
        {
            await foreach (var answer in revoke.ResponseStream.ReadAllAsync(Cancellation))
            {
                Assert.Equal((LeaseState.Ended, EndReason.Operator), (answer.Lease.State, answer.Lease.EndReason));
            }
        }

        int status = await client.WaitAsync(Patience.Long);

        Assert.True(status == 0, client.Output);
        Assert.Contains("notice: LEASE_STATE_ENDED END_REASON_OPERATOR", client.Output, StringComparison.Ordinal);
        Assert.Contains("shown to Python", await client.LineAsync("ended: END_REASON_OPERATOR"), StringComparison.Ordinal);
        Assert.Equal("the worker ended by SIGBUS", await client.LineAsync("the worker ended"));
        Assert.Empty(broker.Errors);
    }

    /// <summary>As the example's first lines say.</summary>
    private static async Task<string> GenerateAsync(TestDirectory directory)
    {
        using var probe = Tool.Start([Python, "-c", "import grpc, grpc_tools.protoc"]);
        Assert.SkipUnless(await probe.WaitAsync(Patience.Long) == 0, $"the Debian packages python3-grpcio and python3-grpc-tools are needed: {probe.Output}");
        string modules = directory.File("generated");
        Directory.CreateDirectory(modules);
        string proto = Path.Combine(Repository.Root, "proto");
        await Tool.RunAsync([
            Python, "-m", "grpc_tools.protoc", "-I", proto, $"--python_out={modules}", $"--grpc_python_out={modules}",
            .. Protos.Select(name => Path.Combine(proto, "barbroker", "v1", $"{name}.proto"))]);
        return modules;
    }
}
