// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Completing;

/// <summary>What each shell runs when a person asks for the rest of a word. They know no command themselves, so they need no change with barctl.</summary>
internal static class ShellScripts
{
    public const string Bash = """
        # bash completion of barctl
        _barctl() {
            local line
            COMPREPLY=()
            while IFS= read -r line; do
                if [[ $line == :files ]]; then
                    compopt -o default 2>/dev/null
                else
                    COMPREPLY+=("${line%%$'\t'*}")
                fi
            done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
        }
        complete -F _barctl barctl
        """;

    public const string Zsh = """
        #compdef barctl
        # zsh completion of barctl
        _barctl() {
            local line
            local -a found
            for line in "${(@f)$(${words[1]} __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
                if [[ $line == :files ]]; then
                    _files
                elif [[ $line == *$'\t'* ]]; then
                    found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
                elif [[ -n $line ]]; then
                    found+=("${line//:/\\:}")
                fi
            done
            (( $#found )) && _describe 'barctl' found
        }
        if [[ "${funcstack[1]}" == _barctl ]]; then
            _barctl "$@"
        else
            compdef _barctl barctl
        fi
        """;

    public const string Fish = """
        # fish completion of barctl
        function __barctl_complete
            set -l words (commandline -opc)
            set -l current (commandline -ct)
            for line in ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
                if test "$line" = :files
                    __fish_complete_path "$current"
                else
                    echo $line
                end
            end
        end
        complete -c barctl -f -a '(__barctl_complete)'
        """;
}
