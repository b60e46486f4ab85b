#!/usr/bin/python3
"""RAUC's side of D-Bus, as far as its hawkBit client asks for it: takes a bundle, tells its progress and how it
ended. The lowest fake there is: a real RAUC would flash this machine.

usage: rauc_service.py FOLDER     bundles go to FOLDER/installed; while FOLDER/refuse exists they are refused
"""
import pathlib
import shutil
import sys

from gi.repository import Gio, GLib

NAME, PATH, INTERFACE = "de.pengutronix.rauc", "/", "de.pengutronix.rauc.Installer"
DESCRIPTION = f"""<node><interface name="{INTERFACE}">
  <method name="Install"><arg type="s" direction="in"/></method>
  <property name="Operation" type="s" access="read"/>
  <property name="LastError" type="s" access="read"/>
  <property name="Progress" type="(isi)" access="read"/>
  <signal name="Completed"><arg type="i"/></signal>
</interface></node>"""


class Installer:
    def __init__(self, bus, folder):
        self._bus, self._folder = bus, folder
        self._values = {"Operation": GLib.Variant("s", "idle"), "LastError": GLib.Variant("s", ""),
                        "Progress": GLib.Variant("(isi)", (0, "", 0))}
        interface = Gio.DBusNodeInfo.new_for_xml(DESCRIPTION).interfaces[0]
        bus.register_object(PATH, interface, self._called, lambda *asked: self._values[asked[4]], None)

    def _set(self, name, value):
        self._values[name] = value
        self._bus.emit_signal(None, PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged",
                              GLib.Variant("(sa{sv}as)", (INTERFACE, {name: value}, [])))

    def _called(self, _bus, _sender, _path, _interface, _method, arguments, invocation):
        (bundle,) = arguments.unpack()
        invocation.return_value(None)
        GLib.idle_add(self._install, bundle)

    def _install(self, bundle):
        self._set("Operation", GLib.Variant("s", "installing"))
        self._set("Progress", GLib.Variant("(isi)", (20, "Checking bundle", 1)))
        refused = (self._folder / "refuse").exists()
        if refused:
            self._set("LastError", GLib.Variant("s", "signature verification failed"))
        else:
            shutil.copyfile(bundle, self._folder / "installed")
            self._set("Progress", GLib.Variant("(isi)", (100, "Installing done.", 1)))
        self._set("Operation", GLib.Variant("s", "idle"))
        self._bus.emit_signal(None, PATH, INTERFACE, "Completed", GLib.Variant("(i)", (1 if refused else 0,)))
        return False


def main():
    folder = pathlib.Path(sys.argv[1])
    kept = []
    Gio.bus_own_name(Gio.BusType.SYSTEM, NAME, Gio.BusNameOwnerFlags.NONE,
                     lambda bus, _name: kept.append(Installer(bus, folder)),
                     lambda *_: (folder / "ready").touch(), lambda *_: sys.exit("the bus is gone"))
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
