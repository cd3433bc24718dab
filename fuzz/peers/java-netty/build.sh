#!/bin/sh
# build.sh OUT - fetches Netty, whose files must be those of jars.sha256, and compiles the peer to OUT/classes.
set -eu
here=$(dirname "$0")
out=$1
mvn --quiet --batch-mode --file "$here/pom.xml" \
  org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies "-DoutputDirectory=$out/jars"
(cd "$out/jars" && sha256sum --check --strict --quiet) <"$here/jars.sha256"
[ "$(ls "$out/jars" | wc -l)" -eq "$(wc -l <"$here/jars.sha256")" ]
javac -Xlint:all -Werror -cp "$out/jars/*" -d "$out/classes" "$here/Peer.java"
