#!/usr/bin/perl
# Holds one build step's namespaces: process ids, mounts and network. All of it, the step's container with it, ends at
# once with the builder, however that ends, and leaves no process, mount or interface.
#
# usage: launcher.pl ARCHITECTURE BUILDER FOLDER COUNT MOUNT... COMMAND...
#   ARCHITECTURE  as Node names it
#   BUILDER  process id of the builder, our parent
#   FOLDER   the step's folder; FOLDER/private becomes a file system in memory
#   COUNT    how many arguments the mounts are; each mount is N TARGET UPPER WORK LOWER..., N being how many words follow
#            N, UPPER and WORK empty for a read-only one, the lowest LOWER last
#   COMMAND  starts the container and leaves its process id in FOLDER/private/pid
# Descriptor 3: "go" once the container may start; its end ends us. Descriptor 4: what we say, a line each: "pid N" (the
# process that holds the namespaces), "ready", then "exit STATUS" or "refused STATUS" (of COMMAND), or "failed TEXT".
use strict;

# No modules: loading POSIX and Socket takes longer than all else that is done here. Numbers are Linux's.
my %numbers = (
    x64   => { mount => 165, unshare => 272, prctl => 157, mknodat => 259, exit_group => 231 },
    arm64 => { mount => 40,  unshare => 97,  prctl => 167, mknodat => 33,  exit_group => 94 },
);
my ($CLONE_NEWNS, $CLONE_NEWPID, $CLONE_NEWNET) = (0x20000, 0x20000000, 0x40000000);
my ($MS_RDONLY, $MS_NOSUID, $MS_NODEV, $MS_NOEXEC, $MS_REC, $MS_PRIVATE) = (1, 2, 4, 8, 0x4000, 0x40000);
my ($PR_SET_PDEATHSIG, $SIGKILL, $F_SETFD, $FD_CLOEXEC, $O_RDONLY) = (1, 9, 2, 1, 0);
my ($AT_FDCWD, $S_IFIFO, $AF_INET, $SOCK_DGRAM, $SIOCSIFFLAGS, $IFF_UP) = (-100, 0010000, 2, 2, 0x8914, 1);

my ($architecture, $builder, $folder, $count, @rest) = @ARGV;
my @plan = splice(@rest, 0, $count);
my $numbers = $numbers{$architecture};

open(my $commands, '<&=', 3) or exit 1;
open(my $answers, '>&=', 4) or exit 1;
fcntl($_, $F_SETFD, $FD_CLOEXEC) for $commands, $answers;

sub say_line { syswrite($answers, "$_[0]\n") }
# At once, with nothing of Perl's own to do: two processes share what was open before the fork.
sub leave { my ($status) = @_; syscall($numbers->{exit_group}, $status) if $numbers; exit $status }
sub fail { my ($text) = @_; $text =~ s/\s+/ /g; say_line("failed $text"); leave(1) }

sub call {
    my ($name, @arguments) = @_;
    fail("no system calls are known for this machine") unless $numbers;
    return if syscall($numbers->{$name}, @arguments) == 0;
    fail("$name: $!");
}

sub mount {
    my ($source, $target, $type, $flags, $data) = @_;
    return if syscall($numbers->{mount}, $source, $target, $type, $flags, $data) == 0;
    fail("mount $type on $target: $!");
}

# Lower folders are named by descriptor numbers: however many and long they are, the options stay within a page.
sub overlay {
    my ($target, $upper, $work, @lower) = @_;
    mkdir $target, 0700;
    my @handles;
    for my $path (@lower, $upper eq '' ? () : ($upper, $work)) {
        sysopen(my $handle, $path, $O_RDONLY) or fail("open $path: $!");
        push @handles, $handle;
    }
    chdir '/proc/self/fd' or fail("chdir /proc/self/fd: $!");
    my @names = map { fileno $_ } @handles;
    my $options = 'index=off,metacopy=off,redirect_dir=off,xino=off';
    # What a power cut leaves is thrown away: programs that sync after each file need not wait for the disk.
    $options .= ',volatile,upperdir=' . $names[-2] . ',workdir=' . $names[-1] if $upper ne '';
    mount('overlay', $target, 'overlay', $upper eq '' ? $MS_RDONLY : 0, "$options,lowerdir=" . join(':', @names[0 .. $#lower]));
    chdir '/' or fail("chdir /: $!");
}

call('prctl', $PR_SET_PDEATHSIG, $SIGKILL, 0, 0, 0);
exit 1 if getppid() != $builder;
umask 022;
call('unshare', $CLONE_NEWNS | $CLONE_NEWPID | $CLONE_NEWNET);

# Readable at its end only once we are gone.
pipe(my $alive, my $held) or fail("pipe: $!");
my $holder = fork() // fail("fork: $!");
if ($holder) {
    close $alive;
    waitpid($holder, 0);
    leave($? == 0 ? 0 : 1);
}

close $held;
call('prctl', $PR_SET_PDEATHSIG, $SIGKILL, 0, 0, 0);
my $watched = '';
vec($watched, fileno($alive), 1) = 1;
leave(1) if select($watched, undef, undef, 0);

# Said here, so that it comes before what else is said here; this /proc still counts as our parent does.
say_line('pid ' . (readlink('/proc/self') // fail("read /proc/self: $!")));
mount('none', '/', '', $MS_REC | $MS_PRIVATE, '');
mount('proc', '/proc', 'proc', $MS_NOSUID | $MS_NODEV | $MS_NOEXEC, '');
mount('tmpfs', "$folder/private", 'tmpfs', $MS_NOSUID | $MS_NODEV, 'mode=700,size=64m');
while (@plan) {
    my $words = shift @plan;
    overlay(splice(@plan, 0, $words));
}
socket(my $socket, $AF_INET, $SOCK_DGRAM, 0) or fail("socket: $!");
my $request = pack('a16 s x22', 'lo', $IFF_UP);
ioctl($socket, $SIOCSIFFLAGS, $request) or fail("bring lo up: $!");
close $socket;
# Neighbour discovery would count as use of the network.
if (open(my $switch, '>', '/proc/sys/net/ipv6/conf/default/disable_ipv6')) { syswrite($switch, '1'); close $switch }

# Both streams go into one pipe, in the order in which they are written; a pipe can be opened by name, as /dev/stdout is.
call('mknodat', $AT_FDCWD, "$folder/private/output", $S_IFIFO | 0600, 0);
open(my $output, '+<', "$folder/private/output") or fail("open the step's output: $!");

say_line('ready');
sysread($commands, my $word, 16) or leave(1);

my $starter = fork() // fail("fork: $!");
if (!$starter) {
    open(STDIN, '<', "$folder/private/input") or fail("open the step's input: $!");
    open(STDOUT, '>', "$folder/private/output") or fail("open the step's output: $!");
    open(STDERR, '>&', \*STDOUT) or fail("open the step's output: $!");
    exec { $rest[0] } @rest or fail("exec $rest[0]: $!");
}
waitpid($starter, 0);
if ($? != 0) { say_line('refused ' . ($? >> 8)) }
else {
    open(my $file, '<', "$folder/private/pid") or fail("read the container's process id: $!");
    my $container = <$file>;
    close $file;
    # We are the first process in here: whatever loses its parent is ours to wait for.
    my $ended;
    do { $ended = wait() } until $ended == $container || $ended == -1;
    say_line('exit ' . ($? & 127 ? 128 + ($? & 127) : $? >> 8));
}
sysread($commands, $word, 16);
leave(0);
