#!/bin/sh
# Makes sure that the report's tests find Chromium, its driver, and npm, with which axe-core is fetched.
# Installs them where it may: as root on Debian. In CI (CI=true) it fails where they are missing in the end; elsewhere
# those tests are skipped then.
set -u

missing() {
    [ -n "$(command -v chromium || command -v chromium-browser || command -v google-chrome)" ] || echo chromium
    command -v chromedriver > /dev/null || echo chromium-driver
    command -v npm > /dev/null || echo npm
}

packages=$(missing)
if [ -n "$packages" ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "installing" $packages "for the tests of the report"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages; } > /dev/null 2>&1
    packages=$(missing)
fi
[ -z "$packages" ] && exit 0
echo "not installed:" $packages "- the report's tests need them; install them (Debian: apt-get install" $packages")" >&2
case "${CI:-}" in "" | 0 | false) exit 0 ;; *) exit 1 ;; esac
