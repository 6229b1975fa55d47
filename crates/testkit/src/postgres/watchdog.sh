# Stops a private test cluster once no test process has held the lease for a while, and removes its folder.
# Arguments: folder of locks and state, folder of the cluster, then the command that stops the server.
# Test runners start each test in its own process and know no "after all", so somebody has to outlive them.
state=$1
cluster=$2
shift 2

exec 9>"$state/watchdog"
flock --nonblock 9 || exit 0

idle=0
while [ "$idle" -lt 3 ]; do
    sleep 4
    [ -e "$state/lease" ] || break
    exec 8<"$state/lease"
    if flock --nonblock --exclusive 8; then idle=$((idle + 1)); else idle=0; fi
    # The lock of the last round is kept: whoever comes now waits until the old cluster is gone, and starts a new one.
    [ "$idle" -lt 3 ] && exec 8<&-
done

"$@"
rm -rf "$cluster" "$state/cluster"
