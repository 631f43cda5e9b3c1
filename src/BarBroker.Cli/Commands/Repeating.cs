// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.Cli.Running;

namespace BarBroker.Cli.Commands;

/// <summary>Shows something again and again until interrupted: painted over on a terminal, else one after the other.</summary>
internal sealed class Repeating
{
    private const char Quit = 'q';
    private static readonly TimeSpan _default = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan _shortest = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan _keys = TimeSpan.FromMilliseconds(50);

    private readonly Option<bool> _watch = new("--watch", "-w") { Description = "Show it again and again, until interrupted" };
    private readonly Option<TimeSpan?> _interval = Options.Duration("--interval", "How often [default: 1s]");

    /// <param name="always">The command is made for it, without --watch.</param>
    public void AddTo(Command command, bool always = false)
    {
        if (!always)
        {
            command.Add(_watch);
        }

        command.Add(_interval);
        command.Validators.Add(result =>
        {
            if (result.GetResult(_interval) is { Implicit: false, Errors: var errors } && !errors.Any())
            {
                if (result.GetValue(_interval) < _shortest)
                {
                    result.AddError("--interval is at least 100ms.");
                }

                if (!always && !result.GetValue(_watch))
                {
                    result.AddError("--interval goes with --watch.");
                }
            }
        });
    }

    public bool IsAsked(ParseResult parsed) => parsed.GetValue(_watch);

    /// <param name="draw">Asks the broker, and writes the answer.</param>
    public async Task<int> RunAsync(ParseResult parsed, Func<Printer, CancellationToken, Task> draw)
    {
        using var signals = new StopSignals();
        var format = parsed.GetValue(GlobalOptions.Output);
        using var screen = Screen.IsTerminal && format is OutputFormat.Table or OutputFormat.Wide ? new LiveScreen() : null;
        if (screen is null)
        {
            LostReader.EndsTheProcess();
        }

        try
        {
            for (bool first = true; ; first = false)
            {
                if (screen is not null)
                {
                    await PaintAsync(screen, format, draw, signals.Token);
                }
                else
                {
                    if (!first && format is OutputFormat.Table or OutputFormat.Wide or OutputFormat.Name)
                    {
                        Console.Out.WriteLine();
                    }

                    await draw(new Printer(format), signals.Token);
                }

                if (await WaitAsync(parsed.GetValue(_interval) ?? _default, screen is not null, signals.Token))
                {
                    return ExitCode.Done;
                }
            }
        }
        catch (Exception exception) when (signals.Signal != 0 && exception is OperationCanceledException or Grpc.Core.RpcException { StatusCode: Grpc.Core.StatusCode.Cancelled })
        {
            return ExitCode.Signal + signals.Signal;
        }
    }

    private static async Task PaintAsync(LiveScreen screen, OutputFormat format, Func<Printer, CancellationToken, Task> draw, CancellationToken stop)
    {
        // Asked first, and painted then: nothing is awaited while half of a frame is there.
        using var text = new StringWriter();
        await draw(new Printer(format, Screen.Create(text, LiveScreen.Width)), stop);
        screen.Paint(text.ToString());
    }

    /// <returns>True: somebody pressed q.</returns>
    private static async Task<bool> WaitAsync(TimeSpan interval, bool hasKeys, CancellationToken stop)
    {
        for (var left = interval; left > TimeSpan.Zero; left -= _keys)
        {
            await Task.Delay(left < _keys ? left : _keys, stop);
            while (hasKeys && !Console.IsInputRedirected && Console.KeyAvailable)
            {
                if (Console.ReadKey(intercept: true).KeyChar == Quit)
                {
                    return true;
                }
            }
        }

        return false;
    }
}
