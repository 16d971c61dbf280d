/**
 * Runs a program of the machine with one folder as all that it sees besides the programs themselves: a tree that somebody
 * changes while it is walked cannot lead out of it, by a link put in a folder's place. Perl, which is essential in Debian,
 * makes a mount namespace that ends with the program; nothing is left to clean up.
 *
 * @see unshare(2), mount(2): the numbers are the calls' and flags' of the kernel
 */
const program = `
use strict;
my ($unshare, $mount, $folder, @command) = @ARGV;
my ($newNamespace, $readOnly, $remount, $bind, $recursive, $private) = (0x20000, 1, 32, 4096, 16384, 1 << 18);
my ($jail, $none, $tmpfs, $root) = ("/dev", "none", "tmpfs", "/");
syscall($unshare + 0, $newNamespace) == 0 or fail("unshare");
mnt($none, $root, $none, $private | $recursive);
my $top = "$folder";
chdir $top or fail($top);
mnt($tmpfs, $jail, $tmpfs, 0);
for my $name (qw(usr bin lib lib32 lib64)) {
  if (-l "/$name") { symlink readlink("/$name"), "$jail/$name" }
  elsif (-d "/$name") {
    mkdir "$jail/$name";
    mnt("/$name", "$jail/$name", $none, $bind);
    mnt($none, "$jail/$name", $none, $bind | $remount | $readOnly);
  }
}
mkdir "$jail/here";
mnt(".", "$jail/here", $none, $bind);
chroot $jail or fail("chroot");
chdir "/here" or fail("chdir");
exec { $command[0] } @command or fail($command[0]);
sub mnt { my ($source, $target, $type, $flags) = @_; syscall($mount + 0, $source, $target, $type, $flags, 0) == 0 or fail("mount $target") }
sub fail { print STDERR "$_[0]: $!\\n"; exit 125 }
`;

const numbers = { x64: [272, 165], arm64: [97, 40] } as const;

/** Arguments of `perl` that run a program with a folder as `/here`, where it begins. */
export function jailed(folder: string, command: readonly string[]): readonly string[] {
  const [unshare, mount] = numbers[process.arch === "arm64" ? "arm64" : "x64"];
  return ["-e", program, String(unshare), String(mount), folder, ...command];
}
