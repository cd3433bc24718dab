#!/bin/bash -eu
exec fuzz/oss_fuzz/build.sh
