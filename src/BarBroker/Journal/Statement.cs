// SPDX-License-Identifier: Apache-2.0

using Microsoft.Data.Sqlite;

namespace BarBroker.Journal;

/// <summary>A prepared statement whose parameters are $1, $2 and so on.</summary>
internal sealed class Statement : IDisposable
{
    private readonly SqliteCommand _command;

    public Statement(SqliteConnection connection, string text, int parameters = 0)
    {
        _command = connection.CreateCommand();
        _command.CommandText = text;
        for (int i = 1; i <= parameters; i++)
        {
            _command.Parameters.Add(new SqliteParameter($"${i}", SqliteType.Integer) { Value = DBNull.Value });
        }
    }

    public static void Run(SqliteConnection connection, string text)
    {
        using var statement = new Statement(connection, text);
        statement.Run();
    }

    public Statement Bind(int index, long? value) => Bind(index, SqliteType.Integer, value);

    public Statement Bind(int index, string? value) => Bind(index, SqliteType.Text, value);

    public Statement Bind(int index, byte[] value) => Bind(index, SqliteType.Blob, value);

    public int Run() => _command.ExecuteNonQuery();

    public long? Number() => _command.ExecuteScalar() as long?;

    public SqliteDataReader Read() => _command.ExecuteReader();

    public void Dispose() => _command.Dispose();

    private Statement Bind(int index, SqliteType type, object? value)
    {
        var parameter = _command.Parameters[index - 1];
        parameter.SqliteType = type;
        parameter.Value = value ?? DBNull.Value;
        return this;
    }
}
