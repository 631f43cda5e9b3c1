// SPDX-License-Identifier: Apache-2.0

using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>What people see of clients.</summary>
internal static class ClientTable
{
    public static void Write(IAnsiConsole screen, IReadOnlyCollection<ClientDocument> clients, bool wide)
    {
        if (clients.Count == 0)
        {
            screen.WriteLine("No client holds a lease or waits for one.");
            return;
        }

        string[] more = wide ? ["RECALLED", "GID", "OLDEST", "LEFT", "LEASE IDS"] : [];
        var table = Screen.Table(["PID", "UID", "COMMAND", "LEASES", "STUCK", "SIZE", "WAITING", "DEVICES", .. more]);
        foreach (var client in clients)
        {
            Text[] rest = wide
                ? [Number(client.Recalled), Screen.Cell($"{client.Gid}"), Screen.Cell(Words.Seconds(client.OldestAgeSeconds)), Screen.Cell(Words.Seconds(client.LeastRemainingSeconds)), Screen.Cell(string.Join(' ', client.LeaseIds))]
                : [];
            table.AddRow(
            [
                Screen.Cell($"{client.Pid}"),
                Screen.Cell($"{client.Uid}"),
                Screen.Cell(client.Comm),
                Screen.Cell($"{client.Leases}"),
                client.Stuck > 0 ? Screen.State("stuck", $"{client.Stuck}") : Screen.Cell("-"),
                Screen.Cell(Words.Bytes(client.Size)),
                Number(client.Waiting),
                Screen.Cell(string.Join(',', client.Devices)),
                .. rest,
            ]);
        }

        screen.Write(table);
    }

    private static Text Number(int number) => Screen.Cell(number > 0 ? $"{number}" : "-");
}
