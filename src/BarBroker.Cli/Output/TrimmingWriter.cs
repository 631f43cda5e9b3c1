// SPDX-License-Identifier: Apache-2.0

using System.Text;

namespace BarBroker.Cli.Output;

/// <summary>Drops the spaces that tables pad the ends of lines with.</summary>
internal sealed class TrimmingWriter(TextWriter inner) : TextWriter
{
    private int _spaces;

    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value)
    {
        if (value == ' ')
        {
            _spaces++;
            return;
        }

        for (; _spaces > 0; _spaces--)
        {
            if (value is not ('\n' or '\r'))
            {
                inner.Write(' ');
            }
        }

        inner.Write(value);
    }

    public override void Flush() => inner.Flush();
}
