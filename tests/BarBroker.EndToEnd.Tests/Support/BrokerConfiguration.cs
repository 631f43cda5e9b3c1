// SPDX-License-Identifier: Apache-2.0

using System.Text.Json.Nodes;
using BarBroker.Linux;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>The configuration file of a broker under test: simulated devices, no listener on the network, everything else by default.</summary>
internal sealed class BrokerConfiguration
{
    private readonly JsonObject _root = new() { ["metrics"] = new JsonObject { ["enabled"] = false }, ["devices"] = new JsonArray() };

    public BrokerConfiguration()
    {
        if (Users.EffectiveUid == 0)
        {
            // Root must name its groups. Clients of any other user come with the group nogroup; nobody but root operates.
            _root["sockets"] = new JsonObject { ["clientGroup"] = "nogroup", ["operatorGroup"] = "root" };
        }
    }

    /// <param name="faults">The faults file; null: no faults.</param>
    /// <param name="requestGrace">Null: as by default.</param>
    public BrokerConfiguration Device(string name, string size, string? faults = null, string? requestGrace = null)
    {
        var device = new JsonObject
        {
            ["name"] = name,
            ["kind"] = "simulated",
            ["bars"] = new JsonArray(new JsonObject { ["index"] = 0, ["size"] = size }),
        };
        if (faults is not null)
        {
            device["faults"] = faults;
        }

        if (requestGrace is not null)
        {
            device["requestGrace"] = requestGrace;
        }

        _root["devices"]!.AsArray().Add(device);
        return this;
    }

    public BrokerConfiguration Set(string section, string key, JsonNode value)
    {
        (_root[section] ??= new JsonObject())[key] = value;
        return this;
    }

    public BrokerConfiguration Set(string key, JsonNode value)
    {
        _root[key] = value;
        return this;
    }

    /// <summary>One more pool, in the configuration's words.</summary>
    public BrokerConfiguration Pool(string pool)
    {
        (_root["pools"] ??= new JsonArray()).AsArray().Add(JsonNode.Parse(pool));
        return this;
    }

    /// <summary>These rules instead of the ones before.</summary>
    public BrokerConfiguration Rules(params string[] rules)
    {
        _root["policy"] = new JsonObject { ["rules"] = new JsonArray([.. rules.Select(rule => JsonNode.Parse(rule))]) };
        return this;
    }

    /// <returns>The file's path.</returns>
    public string Write(string directory)
    {
        string path = Path.Combine(directory, "broker.json");
        File.WriteAllText(path, _root.ToJsonString());
        return path;
    }
}
