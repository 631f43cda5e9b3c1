// SPDX-License-Identifier: Apache-2.0

using System.Text;
using System.Text.Json;

namespace BarBroker.Configuration;

/// <summary>JSON with comments and trailing commas to a tree that knows lines. A key given twice is a fault, since one of the two would be lost.</summary>
internal ref struct ConfigParser
{
    private readonly ReadOnlySpan<byte> _text;
    private readonly ConfigurationFaults _faults;
    private Utf8JsonReader _reader;
    private long _line = 1;
    private int _counted;

    private ConfigParser(ReadOnlySpan<byte> text, ConfigurationFaults faults)
    {
        _text = text;
        _faults = faults;
        _reader = new Utf8JsonReader(text, new JsonReaderOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip, MaxDepth = 16 });
    }

    /// <summary>Null, and a fault, if the text is not JSON.</summary>
    public static ConfigNode? Parse(ReadOnlySpan<byte> text, ConfigurationFaults faults)
    {
        var byteOrderMark = Encoding.UTF8.Preamble;
        var parser = new ConfigParser(text.StartsWith(byteOrderMark) ? text[byteOrderMark.Length..] : text, faults);
        try
        {
            parser._reader.Read();
            var root = parser.Value("");
            parser._reader.Read();
            return root;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            faults.Add("", ((exception as JsonException)?.LineNumber ?? -1) + 1, $"not valid JSON: {Reason(exception)}");
            return null;
        }
    }

    private static string Reason(Exception exception)
    {
        // The position at the end of the message counts lines from 0; the fault has its own.
        int position = exception.Message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return position < 0 ? exception.Message : exception.Message[..position];
    }

    private ConfigNode Value(string path)
    {
        long line = Line();
        switch (_reader.TokenType)
        {
            case JsonTokenType.StartObject:
                return Object(path, line);
            case JsonTokenType.StartArray:
                return List(path, line);
            case JsonTokenType.String:
                return new ConfigNode(ConfigNodeKind.Text, path, line) { Text = _reader.GetString()! };
            case JsonTokenType.Number:
                return new ConfigNode(ConfigNodeKind.Number, path, line) { Text = Encoding.UTF8.GetString(_reader.ValueSpan) };
            case JsonTokenType.True or JsonTokenType.False:
                return new ConfigNode(ConfigNodeKind.Flag, path, line) { Text = _reader.GetBoolean() ? "true" : "false" };
            default:
                return new ConfigNode(ConfigNodeKind.Null, path, line) { Text = "null" };
        }
    }

    private ConfigNode Object(string path, long line)
    {
        var node = new ConfigNode(ConfigNodeKind.Object, path, line);
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndObject)
        {
            string name = _reader.GetString()!;
            _reader.Read();
            var member = Value(node.MemberPath(name));
            if (!node.TryAdd(name, member))
            {
                _faults.Add(member, $"given twice, first in line {node.Members[name].Line}");
            }
        }

        return node;
    }

    private ConfigNode List(string path, long line)
    {
        var node = new ConfigNode(ConfigNodeKind.List, path, line);
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            node.Add(Value($"{path}[{node.Items.Count}]"));
        }

        return node;
    }

    private long Line()
    {
        int start = (int)_reader.TokenStartIndex;
        _line += _text[_counted..start].Count((byte)'\n');
        _counted = start;
        return _line;
    }
}
