// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Output;

namespace BarBroker.Cli.Tests;

public sealed class BarPictureTests
{
    [Fact]
    public void Cells_FreeLeasedQuarantined_HaveTheirMarks()
    {
        SegmentDocument[] segments =
        [
            new(0, 0, 0x4000, "leased", ["one"]),
            new(0, 0x4000, 0x1000, "quarantined", ["two"]),
            new(0, 0x5000, 0x2000, "free", []),
            new(0, 0x7000, 0x1000, "leased", ["three", "four"]),
        ];

        Assert.Equal("AAAA!..+", BarPicture.Cells(0x8000, segments, BarPicture.AssignLetters(segments)));
    }

    [Fact]
    public void Cells_SeveralInOneCell_QuarantineShows()
    {
        SegmentDocument[] segments =
        [
            new(0, 0, 0x1000, "leased", ["one"]),
            new(0, 0x1000, 0x1000, "leased", ["two"]),
            new(0, 1ul << 39, 0x1000, "leased", ["three"]),
            new(0, (1ul << 39) + 0x1000, 0x1000, "quarantined", ["four"]),
            new(0, (1ul << 40) - 0x1000, 0x1000, "leased", ["five"]),
        ];

        string cells = BarPicture.Cells(1ul << 40, segments, BarPicture.AssignLetters(segments));

        Assert.Equal((64, '+', '!', 'E'), (cells.Length, cells[0], cells[32], cells[63]));
        Assert.Equal(61, cells.Count(cell => cell == '.'));
    }
}
