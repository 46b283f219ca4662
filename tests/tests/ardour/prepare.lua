-- prepare.lua FOLDER: a session with the plugin on track SRC, whose output track DST records.
local b = AudioEngine:set_backend("None (Dummy)", "", "")
b:set_driver("Normal Speed")
s = create_session(arg[1], "session", 48000)
assert(s)
local one = ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1)
local function track(name)
  local made = s:new_midi_track(one, one, true, ARDOUR.PluginInfo(), nil, nil, 1, name,
    ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, false)
  for t in made:iter() do return t end
end
local src, dst = track("SRC"), track("DST")
local plugin = ARDOUR.LuaAPI.new_plugin(s, "Continuo", ARDOUR.PluginType.VST3, "")
assert(not plugin:isnil(), "the plugin is not found")
src:add_processor_by_index(plugin, 0, nil, true)
src:output():disconnect_all(nil)
dst:input():disconnect_all(nil)
assert(src:output():midi(0):connect(dst:input():midi(0):name()) == 0)
ARDOUR.LuaAPI.usleep(500000)
s:save_state("", false, false, false, false, false)
close_session()
quit()
