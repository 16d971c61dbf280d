#!/usr/bin/perl
# Holds the router's listening socket and keeps HAProxy running on it, so that a crash of HAProxy refuses no
# connection: while a new one starts, connections wait in the socket's queue. Outlives the daemon that started it.
#
# What a supervisor that was killed left behind goes on: HAProxy holds the listening socket too, and a new supervisor
# takes it over from there together with HAProxy, so that this death refuses no connection either.
#
#   supervisor.pl FOLDER HOST PORT CONFIG LOG HAPROXY
#
# FOLDER  where control.sock, supervisor.pid, haproxy.pid and master.sock are kept
# PORT    0 takes a free one, or that of an HAProxy it takes over
# Prints one line when it listens ("listening PORT", "adopted PORT" with an HAProxy that ran already) or cannot
# ("failed REASON"), then writes to LOG only.
#
# control.sock takes one line per connection and answers with one line:
#   status  port=N supervisor=PID haproxy=PID|0 starts=N
#   reload  a new worker takes over, the old one finishes what it has
#   stop    everything ends; the answer comes when it has
#   watch   "haproxy=PID starts=N" now and at each start; the connection ends with the supervisor
use strict;
use warnings;
use Socket;
use Fcntl qw(:flock F_SETFD O_RDWR O_CREAT);
use Time::HiRes qw(time);
use IO::Handle;

my ($folder, $host, $port, $config, $log, $haproxy) = @ARGV;
defined $haproxy or die "usage: supervisor.pl FOLDER HOST PORT CONFIG LOG HAPROXY\n";
my $NOHANG = 1;
my $QUICKEST_S = 0.02;
my $SLOWEST_S = 2;
my $LOG_BYTES = 1024 * 1024;
my $FINISH_S = 3;
my $WATCHERS = 16;
# The same on every architecture of Linux (5.6 and later).
my ($PIDFD_OPEN, $PIDFD_GETFD) = (434, 438);

$SIG{PIPE} = 'IGNORE';
$SIG{HUP} = 'IGNORE';
umask 0077;

sub fail { my ($reason) = @_; $reason =~ s/\s+/ /g; syswrite STDOUT, "failed $reason\n"; exit 1 }

# One supervisor a folder: the lock goes with the process, however that ends.
sysopen(my $lock, "$folder/supervisor.pid", O_RDWR | O_CREAT) or fail("$folder/supervisor.pid: $!");
flock($lock, LOCK_EX | LOCK_NB) or fail("another supervisor runs in $folder");

my $address = inet_aton($host) or fail("$host is no address");

# Processes that run HAProxy with our configuration: a master that lives, its workers.
sub left_behind {
    return grep {
        my $line = '';
        if (open(my $cmd, '<', "/proc/$_/cmdline")) { $line = join '', <$cmd> }
        $_ != $$ && index($line, "\0$config\0") >= 0 && index($line, "\0-W\0") >= 0;
    } map { m{(\d+)$} } glob '/proc/[0-9]*';
}

# The listening socket that a process holds and a descriptor that tells its end; nothing unless it is the one wanted.
sub take_over {
    my ($pid) = @_;
    open(my $file, '<', "/proc/$pid/environ") or return;
    my ($fd) = (join '', <$file>) =~ /(?:^|\0)BRONZE_LISTEN_FD=(\d+)\0/ or return;
    my $end = syscall($PIDFD_OPEN, $pid, 0);
    return if $end < 0;
    open(my $ends, '<&=', $end) or return;
    my $number = syscall($PIDFD_GETFD, $end, $fd + 0, 0);
    return if $number < 0;
    open(my $socket, '+<&=', $number) or return;
    my $name = getsockname $socket or return;
    return unless sockaddr_family($name) == PF_INET;
    my ($its_port, $its_address) = sockaddr_in($name);
    return unless $its_address eq $address && ($port == 0 || $port == $its_port);
    return ($socket, $ends);
}

my ($web, $ends, $adopted) = (undef, undef, 0);
my $master = 0;
if (open(my $file, '<', "$folder/haproxy.pid")) { $master = $1 if (<$file> // '') =~ /^(\d+)$/ }
my @left = sort { ($b == $master) <=> ($a == $master) } left_behind();
for my $pid (@left) {
    ($web, $ends) = take_over($pid) or next;
    $adopted = $pid if $pid == $master;
    last;
}
if (!$adopted) {
    # A worker without its master would answer from an old configuration; one on another port is not wanted.
    $ends = undef;
    kill 'KILL', @left if @left;
}
if (!$web) {
    socket($web, PF_INET, SOCK_STREAM, 0) or fail("socket: $!");
    setsockopt($web, SOL_SOCKET, SO_REUSEADDR, pack('l', 1)) or fail("setsockopt: $!");
    for my $try (0 .. 50) {
        last if bind($web, sockaddr_in($port, $address));
        # Only a port that processes killed just now may still hold is worth waiting for.
        fail("bind $host:$port: $!") if !@left || $try == 50;
        select undef, undef, undef, 0.02;
    }
    listen($web, 65535) or fail("listen: $!");
}
($port) = sockaddr_in(getsockname $web);

unlink "$folder/control.sock";
socket(my $control, PF_UNIX, SOCK_STREAM, 0) or fail("socket: $!");
bind($control, sockaddr_un("$folder/control.sock")) or fail("$folder/control.sock: $!");
listen($control, 16) or fail("listen: $!");
$control->blocking(0);    # a client may be gone again when its turn comes

truncate $lock, 0;
syswrite $lock, "$$\n";

sub to_log {
    open(STDERR, '>>', $log) or fail("$log: $!");
    chmod 0600, $log;
}

# HAProxy keeps the file open for appending, so it is copied and emptied, not renamed.
sub bound_log {
    return unless (-s $log // 0) > $LOG_BYTES;
    open(my $full, '<', $log) or return;
    open(my $copy, '>', "$log.1") or return;
    while (sysread $full, my $block, 65536) { syswrite $copy, $block }
    truncate $log, 0;
}

sub say_log { my ($text) = @_; my @t = gmtime; syswrite STDERR, sprintf("%04d-%02d-%02dT%02d:%02d:%02dZ supervisor: %s\n", $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0], $text) }

my ($child, $starts, $started, $wait, $due, $ending) = (0, 0, 0, $QUICKEST_S, 0, 0);
my @watchers;

sub inform {
    my ($peer) = @_;
    syswrite $peer, "haproxy=$child starts=$starts\n";
}

# What was taken over is no child of ours: its end is told by its descriptor, and how it ended by nothing.
sub has_ended {
    if ($ends) {
        my $bits = '';
        vec($bits, fileno $ends, 1) = 1;
        return select($bits, undef, undef, 0) > 0;
    }
    return waitpid($child, $NOHANG) != 0;
}

sub start {
    to_log();
    my $pid = fork;
    if (!defined $pid) { say_log("fork: $!"); $due = time + $SLOWEST_S; return }
    if ($pid == 0) {
        setpgrp 0, 0;
        $SIG{$_} = 'DEFAULT' for qw(PIPE HUP TERM INT CHLD);
        fcntl $web, F_SETFD, 0;
        # The configuration names the socket and its port by these.
        $ENV{BRONZE_LISTEN_FD} = fileno $web;
        $ENV{BRONZE_LISTEN_PORT} = $port;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>&', \*STDERR;
        exec $haproxy, '-W', '-db', '-S', "$folder/master.sock,mode,600", '-f', $config or exit 71;
    }
    $child = $pid;
    $starts += 1;
    $started = time;
    inform($_) for @watchers;
    if (open(my $file, '>', "$folder/haproxy.pid.tmp")) {
        print $file "$pid\n";
        close $file;
        rename "$folder/haproxy.pid.tmp", "$folder/haproxy.pid";
    }
}

sub finish {
    $ending = 1;
    if ($child) {
        my $group = $child;
        kill 'TERM', $group;
        my $until = time + $FINISH_S;
        while (time < $until) {
            last if has_ended();
            select undef, undef, undef, 0.005;
        }
        kill 'KILL', -$group;
        waitpid $child, 0 unless $ends;
    }
    unlink map { "$folder/$_" } qw(control.sock master.sock admin.sock haproxy.pid supervisor.pid);
}

sub answer {
    my ($line) = @_;
    return "port=$port supervisor=$$ haproxy=$child starts=$starts\n" if $line eq 'status';
    if ($line eq 'reload') {
        return "failed no haproxy runs\n" unless $child;
        kill 'USR2', $child;
        return "ok\n";
    }
    if ($line eq 'stop') { finish(); return "ok\n" }
    return "failed unknown command\n";
}

# A signal that arrives between the check and select() is seen at the next turn, at most a second later; a pipe
# written by the handler makes that turn come at once.
pipe(my $woken, my $wake) or fail("pipe: $!");
$wake->blocking(0);
$SIG{CHLD} = sub { syswrite $wake, 'x' };
$SIG{TERM} = $SIG{INT} = sub { $ending = 1; syswrite $wake, 'x' };

to_log();
if ($adopted) {
    ($child, $started) = ($adopted, time);
    say_log("took over haproxy $child and its socket from a supervisor that ended");
} else {
    start();
}
syswrite STDOUT, ($adopted ? 'adopted' : 'listening') . " $port\n";
open STDIN, '<', '/dev/null';
open STDOUT, '>&', \*STDERR;
chdir '/';

while (1) {
    if ($ending) { finish(); exit 0 }
    bound_log();
    my $ready = '';
    vec($ready, fileno $control, 1) = 1;
    vec($ready, fileno $woken, 1) = 1;
    vec($ready, fileno $_, 1) = 1 for @watchers, $ends // ();
    my $pause = $due ? $due - time : 1;
    # Interrupted by a signal, select leaves the bits as they were: nothing is known to be ready then.
    $ready = '' if select($ready, undef, undef, $pause > 0 ? $pause : 0) <= 0;
    if (vec $ready, fileno $woken, 1) { sysread $woken, my $drop, 512 }

    if ($child && has_ended()) {
        my $status = $?;
        kill 'KILL', -$child;    # a worker that outlived its master would answer from an old configuration
        my $how = $ends ? '' : sprintf ', status %d, signal %d', $status >> 8, $status & 127;
        say_log(sprintf 'haproxy %d ended after %.3f s%s', $child, time - $started, $how);
        $ends = undef;
        $wait = time - $started > 1 ? 0 : $wait ? $wait * 2 : $QUICKEST_S;
        $wait = $SLOWEST_S if $wait > $SLOWEST_S;
        $child = 0;
        $due = time + $wait;
    }
    if (!$child && $due && time >= $due) { $due = 0; start() }

    # Watchers say nothing: what comes is their end.
    @watchers = grep { !vec $ready, fileno $_, 1 } @watchers;
    next unless vec $ready, fileno $control, 1;
    accept(my $peer, $control) or next;
    $peer->blocking(0);
    my $line = '';
    my $limit = time + 1;
    while ($line !~ /\n/ && length $line < 64 && time < $limit) {
        my $bits = '';
        vec($bits, fileno $peer, 1) = 1;
        select($bits, undef, undef, 0.2) > 0 or next;
        sysread($peer, $line, 64, length $line) or last;
    }
    $line =~ s/\s.*//s;
    if ($line eq 'watch') {
        shift @watchers if @watchers >= $WATCHERS;
        push @watchers, $peer;
        inform($peer);
        next;
    }
    syswrite $peer, answer($line);
    close $peer;
    exit 0 if $ending;
}
