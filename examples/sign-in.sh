#!/usr/bin/env bash
# Plays the browser and the app of the demo: authorization code with PKCE (RFC 6749 §4.1, RFC 7636).
#
#   examples/sign-in.sh FACTS [CUSTOMER] [SCOPES]      prints the token response
set -euo pipefail

facts=${1:?the facts file of ostler demo}
customer=${2:-0}
scopes=${3:-openid profile devices:read devices:control history:read offline_access}
fact() { jq -er "$1" "$facts"; }

base=$(fact .base_url)
client=$(fact .clients.app.client_id)
redirect=$(fact '.redirect_uris[0]')
jar=$(mktemp) page=$(mktemp)
trap 'rm -f "$jar" "$page"' EXIT

base64url() { basenc --base64url --wrap=0 | tr -d =; }
verifier=$(head -c 32 /dev/urandom | base64url)
challenge=$(printf %s "$verifier" | openssl dgst -sha256 -binary | base64url)
state=$(head -c 12 /dev/urandom | base64url)

# The hidden fields of the page's form, as curl wants them.
hidden() {
    grep -o '<input[^>]*type="hidden"[^>]*>' "$page" |
        sed -E 's/.*name="([^"]*)".*value="([^"]*)".*/\1=\2/' | sed 's/&#x3D;/=/g; s/&amp;/\&/g; s/&#38;/\&/g; s/&#43;/+/g'
}

submit() { # FIELDS… : posts the form that stands on the page; like the page itself it lives at $authorize
    local fields=()
    while IFS= read -r field; do fields+=(--data-urlencode "$field"); done < <(hidden)
    for field in "$@"; do fields+=(--data-urlencode "$field"); done
    curl -sS -b "$jar" -c "$jar" -o "$page" -w '%{redirect_url}' -H "Origin: $base" "${fields[@]}" "$authorize"
}

follow() { # until a page comes, or the redirect to the app
    local next=$1
    while [[ -n $next && $next == "$base"* ]]; do
        next=$(curl -sS -b "$jar" -c "$jar" -o "$page" -w '%{redirect_url}' "$next")
    done
    printf %s "$next"
}

encode() { jq -rn --arg text "$1" '$text | @uri'; }
authorize="$base/oauth/authorize?response_type=code&client_id=$client&redirect_uri=$(encode "$redirect")&scope=$(encode "$scopes")"
authorize+="&state=$state&code_challenge=$challenge&code_challenge_method=S256"

next=$(follow "$authorize")
if [[ -z $next ]]; then # the sign-in page
    email=$(fact ".customers[$customer].email") password=$(fact ".customers[$customer].password")
    next=$(follow "$(submit "email=$email" "password=$password" action=sign-in)")
fi
if [[ -z $next ]]; then # the page that asks for consent
    next=$(follow "$(submit action=allow)")
fi
[[ $next == *"state=$state"* ]] || { echo "no redirect to the app came back: ${next:-a page}" >&2; exit 1; }
code=$(sed -E 's/.*[?&]code=([^&]*).*/\1/' <<<"$next")

curl -sS "$base/oauth/token" -d grant_type=authorization_code -d "client_id=$client" \
    --data-urlencode "code=$code" --data-urlencode "redirect_uri=$redirect" -d "code_verifier=$verifier"
