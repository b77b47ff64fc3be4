#!/bin/sh
# The last resort of the extension, where Python cannot run it: register, so that the function can start, then
# wait to be stopped. In: the reason, for people; the launcher's argument, if it has registered. Out: one line on
# stderr.
# It registers for no event (as the AWS Lambda Web Adapter does): /next then never answers, and no invocation
# wakes this process.

if [ -z "$BASH_VERSION" ] && command -v bash >/dev/null; then
    exec bash "$0" "$@"
fi

say() {
    echo "afterglow: not profiling this function: $1" >&2
}

# The launcher's child answers Lambda already. A byte tells it that nobody will take over; it hangs up at SHUTDOWN.
if [ -n "$2" ]; then
    say "$1"
    # What Python would have gone on with: whoever calls there had better find nobody (hand_on in register.c).
    rest=${2#*,}
    for _ in api hook telemetry subscription; do
        case ${rest%%,*} in
        [0-9]) eval "exec ${rest%%,*}>&-" ;;
        esac
        rest=${rest#*,}
    done
    echo >&9
    while read -r _; do :; done <&9
    exit 0
fi

api=$AWS_LAMBDA_RUNTIME_API
path=/2020-01-01/extension
identifier=

# Talk HTTP over bash's own sockets: $1 method and path, $2 a header, $3 the body. Sets $identifier if it is sent.
ask_with_bash() {
    { exec 3<>"/dev/tcp/${api%:*}/${api##*:}"; } 2>/dev/null || return 1
    printf '%s HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
        "$1" "$api" "$2" "${#3}" "$3" >&3
    while IFS= read -r line <&3; do
        case $line in
        [Ll]ambda-[Ee]xtension-[Ii]dentifier:*)
            identifier=${line#*: }
            identifier=${identifier%?} # the carriage return
            ;;
        esac
    done
    exec 3>&-
}

# The same with curl.
ask_with_curl() {
    line=$(curl --silent --request "${1%% *}" --header "$2" --data "$3" --dump-header - --output /dev/null \
        "http://$api${1#* }" | tr -d '\r' | grep -i '^lambda-extension-identifier:') || return 1
    identifier=${line#*: }
}

if [ -n "$BASH_VERSION" ]; then
    ask=ask_with_bash
elif command -v curl >/dev/null; then
    ask=ask_with_curl
else
    say "$1, nor bash nor curl to register with: take the layer off this function"
    exit 1
fi

say "$1"
while [ -z "$identifier" ]; do
    $ask "POST $path/register" "Lambda-Extension-Name: afterglow" '{"events":[]}' || sleep 1
done
while :; do
    $ask "GET $path/event/next" "Lambda-Extension-Identifier: $identifier" ''
    sleep 1 # Only reached when the connection broke: the environment is on its way out.
done
