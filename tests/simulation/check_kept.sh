#!/bin/bash
# SPDX-License-Identifier: MIT
# The scripts of seeds that once failed.
exec "${abs_top_builddir:?}/tests/simulation/replay" --quiet "${abs_top_srcdir:?}"/tests/simulation/kept/*.script
