// SPDX-License-Identifier: Apache-2.0

using Grpc.Core;
using Grpc.Reflection;
using ServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;
using V1Alpha = Grpc.Reflection.V1Alpha;
using V1Final = Grpc.Reflection.V1;

namespace BarBroker.Rpc;

/// <summary>
/// What each socket serves, for grpcurl and the like. The descriptors are named here instead of being searched for, which would need what Native
/// AOT does not have, and would tell the services of one socket on the other.
/// </summary>
internal static class Reflection
{
    private static readonly ServiceDescriptor[] Common =
        [Grpc.Health.V1.Health.Descriptor, V1Final.ServerReflection.Descriptor, V1Alpha.ServerReflection.Descriptor];

    private static readonly ServiceDescriptor[] Client = [V1.LeaseService.Descriptor, .. Common];
    private static readonly ServiceDescriptor[] Operator = [V1.OperatorService.Descriptor, .. Common];

    /// <summary>grpc.reflection.v1.</summary>
    internal sealed class Final : V1Final.ServerReflection.ServerReflectionBase
    {
        private readonly ReflectionV1ServiceImpl _client = new(Client);
        private readonly ReflectionV1ServiceImpl _operator = new(Operator);

        public override Task ServerReflectionInfo(
            IAsyncStreamReader<V1Final.ServerReflectionRequest> requestStream,
            IServerStreamWriter<V1Final.ServerReflectionResponse> responseStream,
            ServerCallContext context) =>
            (Caller.Of(context).Socket == SocketKind.Operator ? _operator : _client).ServerReflectionInfo(requestStream, responseStream, context);
    }

    /// <summary>grpc.reflection.v1alpha, which many tools still ask for.</summary>
    internal sealed class Alpha : V1Alpha.ServerReflection.ServerReflectionBase
    {
        private readonly ReflectionServiceImpl _client = new(Client);
        private readonly ReflectionServiceImpl _operator = new(Operator);

        public override Task ServerReflectionInfo(
            IAsyncStreamReader<V1Alpha.ServerReflectionRequest> requestStream,
            IServerStreamWriter<V1Alpha.ServerReflectionResponse> responseStream,
            ServerCallContext context) =>
            (Caller.Of(context).Socket == SocketKind.Operator ? _operator : _client).ServerReflectionInfo(requestStream, responseStream, context);
    }
}
