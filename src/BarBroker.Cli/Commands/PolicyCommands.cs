// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using System.Globalization;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.Cli.Policies;
using BarBroker.Configuration;
using BarBroker.Linux;

namespace BarBroker.Cli.Commands;

internal static class PolicyCommands
{
    public static Command Create() => new("policy", "The policy of a configuration file, without a broker") { CheckCommand.Create() };

    private sealed class CheckCommand
    {
        private readonly Argument<string> _file = new("file") { Description = "The configuration file", HelpName = "FILE" };
        private readonly Option<string?> _user = new("--user") { Description = "Ask for a process of this user, a name or a number", HelpName = "USER" };
        private readonly Option<string[]> _groups = new("--group") { Description = "In this group, a name or a number; may be repeated [default: those of the user]", HelpName = "GROUP" };
        private readonly Option<string?> _executable = new("--exe") { Description = "That runs this program", HelpName = "PATH" };
        private readonly Option<string?> _cgroup = new("--cgroup") { Description = "In this cgroup", HelpName = "PATH" };
        private readonly Option<bool> _operator = new("--operator") { Description = "Ask what it may do on the operator socket" };
        private readonly Option<TimeSpan?> _hangLimit = Options.Duration("--hang-limit", "Ask for this hang limit");
        private readonly Option<int?> _priority = new("--priority") { Description = "Ask for this priority", HelpName = "N" };
        private readonly RequestOptions _request = new(isOptional: true);

        public static Command Create()
        {
            var check = new CheckCommand();
            var command = new Command("check", "Say what is wrong with a file, or which rule decides about a request, and why")
            {
                check._file, check._user, check._groups, check._executable, check._cgroup, check._operator, check._hangLimit, check._priority,
            };
            check._request.AddTo(command);
            command.Validators.Add(result =>
            {
                bool hasUser = result.GetResult(check._user) is { Implicit: false };
                bool asksForRights = result.GetResult(check._operator) is { Implicit: false };
                bool asksForMemory = check._request.IsGiven(result);
                if (hasUser != (asksForRights || asksForMemory) || (asksForRights && asksForMemory))
                {
                    result.AddError("A question needs --user, and either memory (--pool, --size, --range or --buffer) or --operator; without a question, only FILE.");
                }
            });
            GlobalOptions.HasNoNames(command);
            command.SetAction(parsed => check.Run(parsed));
            return command;
        }

        private int Run(ParseResult parsed)
        {
            string file = parsed.GetRequiredValue(_file);
            var printer = GlobalOptions.PrinterOf(parsed);
            BrokerOptions options;
            try
            {
                options = ConfigurationFile.Load(file, null);
            }
            catch (ConfigurationException exception)
            {
                printer.PolicyCheck(PolicyCheckDocument.Of(file, exception));
                Failure.Say($"{file} has {(exception.Faults.Length == 1 ? "a fault" : $"{exception.Faults.Length} faults")}; every key is explained in docs/configuration.md");
                return ExitCode.Failed;
            }

            if (parsed.GetValue(_user) is not { } user)
            {
                printer.PolicyCheck(PolicyCheckDocument.Of(file, options));
                return ExitCode.Done;
            }

            if (Describe(parsed, user) is not { } process)
            {
                return ExitCode.Usage;
            }

            var document = parsed.GetValue(_operator)
                ? PolicyCheck.Operator(file, options, process)
                : PolicyCheck.Acquire(file, options, process, _request.From(parsed) with { HangLimit = parsed.GetValue(_hangLimit) }, parsed.GetValue(_priority));
            printer.PolicyCheck(document);
            return document switch
            {
                { RefusalCode: "denied" } or { OperatorRights.Count: 0 } => ExitCode.Denied,
                { RefusalCode: "not_found" } => ExitCode.NotFound,
                { Granted: false } => ExitCode.Failed,
                _ => ExitCode.Done,
            };
        }

        /// <summary>Null, and an error, if there is no such user or group.</summary>
        private DescribedProcess? Describe(ParseResult parsed, string user)
        {
            if (Id(user, "user", Users.FindUser) is not { } uid)
            {
                return null;
            }

            var groups = new List<uint>();
            foreach (string group in parsed.GetValue(_groups) ?? [])
            {
                if (Id(group, "group", Users.FindGroup) is not { } gid)
                {
                    return null;
                }

                groups.Add(gid);
            }

            if (groups.Count == 0)
            {
                groups.AddRange(Users.GroupsOf(user));
            }

            if (groups.Count == 0)
            {
                Failure.Say($"user {user} is given by number: say its groups by --group");
                return null;
            }

            return new DescribedProcess(uid, groups[0], [.. groups], parsed.GetValue(_executable), parsed.GetValue(_cgroup));
        }

        private static uint? Id(string text, string kind, Func<string, uint?> find)
        {
            uint? id = uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) ? number : find(text);
            if (id is null)
            {
                Failure.Say($"there is no {kind} {text} on this system");
            }

            return id;
        }
    }
}
