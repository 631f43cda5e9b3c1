// SPDX-License-Identifier: Apache-2.0

using Xunit.Sdk;
using Xunit.v3;

// Each test has a broker and several processes of its own; two at once would only make each other's timeouts likely.
[assembly: Parallelization(Mode = ParallelMode.None)]
