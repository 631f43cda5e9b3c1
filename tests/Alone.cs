// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Testing;

/// <summary>The collection of tests that run beside no other: <c>[Collection(typeof(Alone))]</c>. In each assembly that has such tests: a definition of another assembly does not count.</summary>
[CollectionDefinition(DisableParallelization = true)]
public sealed class Alone;
