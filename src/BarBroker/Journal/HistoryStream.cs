// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using Grpc.Core;

namespace BarBroker.Journal;

/// <summary>
/// Reads the journal for an operator, page by page, so that neither a long answer nor a slow reader keeps it from being written for longer than a page takes.
/// </summary>
internal sealed class HistoryStream(LeaseJournal? journal)
{
    private const int PageSize = 500;

    /// <exception cref="LeaseException">There is no journal, it cannot be read, or the request is wrong.</exception>
    public async Task SendAsync(V1.HistoryRequest request, IServerStreamWriter<V1.HistoryResponse> reader, CancellationToken cancellation)
    {
        var query = HistoryQuery.Read(request);
        if (journal is null)
        {
            throw new LeaseException(LeaseError.Ended, "this broker keeps no journal: journal.enabled is false in its configuration");
        }

        if (await journal.AskAsync(store => store.Bounds(query)).WaitAsync(cancellation) is not var (first, last))
        {
            return;
        }

        while (true)
        {
            var page = await journal.AskAsync(store => store.Page(query, first, last, PageSize)).WaitAsync(cancellation);
            foreach (var entry in page)
            {
                await reader.WriteAsync(new V1.HistoryResponse { Event = entry }, cancellation);
            }

            if (page.Count < PageSize)
            {
                return;
            }

            (first, last) = query.NewestFirst ? (first, (long)page[^1].Sequence - 1) : ((long)page[^1].Sequence + 1, last);
        }
    }
}
