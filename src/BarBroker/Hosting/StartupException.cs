// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Hosting;

/// <summary>The broker cannot start here: what is in the way, and what to do about it.</summary>
internal sealed class StartupException : Exception
{
    public StartupException(string message) : base(message)
    {
    }

    public StartupException(string message, Exception inner) : base(message, inner)
    {
    }
}
