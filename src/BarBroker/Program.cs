// SPDX-License-Identifier: Apache-2.0

using BarBroker.Hosting;

return BrokerCommand.Create(BrokerProgram.Run).Parse(args).Invoke();
