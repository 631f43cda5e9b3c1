// SPDX-License-Identifier: Apache-2.0

using Xunit.Sdk;
using Xunit.v3;

// Descriptors are counted for the whole process.
[assembly: Parallelization(Mode = ParallelMode.None)]
