#!/bin/sh
# Makes the manual's pictures from the editor itself. Needs Xvfb and ImageMagick.
set -e
cd "$(dirname "$0")/.."
cargo test -p continuo-plugin --test pictures
for state in empty listening takes kept trade error download notes; do
    convert "target/screenshots/$state.png" -strip -colors 128 "docs/images/$state.png"
done
