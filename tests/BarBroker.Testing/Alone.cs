// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Testing;

/// <summary>The collection of tests that run beside no other: <c>[Collection(typeof(Alone))]</c>.</summary>
[CollectionDefinition(DisableParallelization = true)]
public sealed class Alone;
