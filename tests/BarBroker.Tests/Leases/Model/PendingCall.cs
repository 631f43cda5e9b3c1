// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

internal sealed record PendingCall(Task<Grant> Task, CancellationTokenSource Cancel);
