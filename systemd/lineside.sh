#!/bin/sh
# The command on a device, as /usr/local/bin/lineside: the release that runs, with the device's
# data, and as the service's user: what root writes into the data the programs can't read.
LINESIDE_DATA__DIR=/var/lib/lineside LINESIDE_DATA__SOCKET_DIR=/run/lineside
export LINESIDE_DATA__DIR LINESIDE_DATA__SOCKET_DIR
if [ "$(id -u)" = 0 ]; then
  case ${1:-} in
    # They need the journal, the settings file, or a file of root's; the data they touch with
    # the service's rights, by themselves.
    check | support-bundle | backup | restore) ;;
    *) exec runuser -u lineside -- /opt/lineside/current/bin/lineside "$@" ;;
  esac
fi
exec /opt/lineside/current/bin/lineside "$@"
